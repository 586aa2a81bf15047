/* The command line of both load clients: pairs of --name and value, and flags. */

#ifndef MOTE_BENCH_LOAD_ARGS_H
#define MOTE_BENCH_LOAD_ARGS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_SOCKETS = 64, MAX_WINDOW = 64, MAX_BODY = 65536, EXIT_USAGE = 2 };

static struct {
    const char *host, *path, *query, *payload;
    int port, method, content_format, accept; /* formats: -1 for no option */
    int expect;                               /* response code; 0 for any 2.xx */
    int sockets, window;                      /* window: outstanding requests of each socket */
    int retransmit_ms, cpu;                   /* cpu: -1 for any */
    int count;                                /* of requests; 0: as many as go into `seconds` */
    int body;                                 /* bytes of a body in blocks; 0: one response is all */
    int echo;                                 /* the response is the request */
    int duplicate;                            /* one message per socket, repeated */
    double seconds, warmup;
} args = {.host = "127.0.0.1", .port = 5683, .path = "s/contact", .query = "", .method = 1,
          .content_format = -1, .accept = -1, .sockets = 8, .window = 8, .cpu = -1,
          .retransmit_ms = 100, .seconds = 2.0, .warmup = 0.1};

enum kind { TEXT, INT, SECONDS, METHOD, CODE, FLAG };

static const struct argument {
    const char *name;
    enum kind kind;
    void *target;
    double low, high;
} arguments[] = {
    {"--host", TEXT, &args.host, 0, 0},
    {"--port", INT, &args.port, 1, 65535},
    {"--path", TEXT, &args.path, 0, 0},
    {"--query", TEXT, &args.query, 0, 0},
    {"--method", METHOD, &args.method, 0, 0},
    {"--payload", TEXT, &args.payload, 0, 0},
    {"--content-format", INT, &args.content_format, 0, 65535},
    {"--accept", INT, &args.accept, 0, 65535},
    {"--expect", CODE, &args.expect, 0, 0},
    {"--seconds", SECONDS, &args.seconds, 0.01, 600},
    {"--warmup", SECONDS, &args.warmup, 0, 60},
    {"--count", INT, &args.count, 1, 1e9},
    {"--sockets", INT, &args.sockets, 1, MAX_SOCKETS},
    {"--window", INT, &args.window, 1, MAX_WINDOW},
    {"--retransmit-ms", INT, &args.retransmit_ms, 1, 60000},
    {"--cpu", INT, &args.cpu, 0, 1023},
    {"--body", INT, &args.body, 1, MAX_BODY},
    {"--echo", FLAG, &args.echo, 0, 0},
    {"--duplicate", FLAG, &args.duplicate, 0, 0},
};

/* End the program with one line that names the fix. */
static void die(const char *what, const char *fix) {
    fprintf(stderr, "load: %s: %s\n", what, fix);
    exit(EXIT_USAGE);
}

static int parse_code(const char *text) {
    unsigned class, detail;

    if (sscanf(text, "%u.%u", &class, &detail) != 2 || class > 7 || detail > 31) {
        die("--expect", "give a code as class.detail, for example 2.05");
    }
    return (int)(class << 5 | detail);
}

static int parse_method(const char *text) {
    static const char *const names[] = {"get", "post", "put", "delete", "fetch", "patch", "ipatch"};

    for (int i = 0; i < 7; i++) {
        if (!strcasecmp(text, names[i])) {
            return i + 1;
        }
    }
    die("--method", "one of get, post, put, delete, fetch, patch, ipatch");
    return 0;
}

static double parse_number(const struct argument *argument, const char *text) {
    char *end, fix[80];
    double value = strtod(text, &end);

    if (end == text || *end || value < argument->low || value > argument->high) {
        snprintf(fix, sizeof fix, "give a number from %g to %g", argument->low, argument->high);
        die(argument->name, fix);
    }
    return value;
}

static void parse_arguments(int argc, char **argv) {
    const size_t known = sizeof arguments / sizeof arguments[0];

    for (int i = 1; i < argc; i++) {
        const struct argument *argument = arguments;
        const char *value;

        while (argument < arguments + known && strcmp(argument->name, argv[i])) {
            argument++;
        }
        if (argument == arguments + known || (argument->kind != FLAG && i + 1 == argc)) {
            die(argv[i], "unknown, or its value is missing; see load_args.h");
        }
        value = argument->kind == FLAG ? NULL : argv[++i];
        switch (argument->kind) {
        case TEXT: *(const char **)argument->target = value; break;
        case INT: *(int *)argument->target = (int)parse_number(argument, value); break;
        case SECONDS: *(double *)argument->target = parse_number(argument, value); break;
        case METHOD: args.method = parse_method(value); break;
        case CODE: args.expect = parse_code(value); break;
        case FLAG: *(int *)argument->target = 1; break;
        }
    }
    if (args.count) {
        args.warmup = 0; /* all of them count */
    }
    if (args.body && (args.payload || args.duplicate || args.echo)) {
        die("--body", "goes with --path, --query and --accept only");
    }
}

#endif

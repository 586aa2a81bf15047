/* What the load client is asked to do: its command line, and the request that follows from it. */

#ifndef MOTE_BENCH_WISH_H
#define MOTE_BENCH_WISH_H

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "body.h"
#include "request.h"

enum { MAX_SOCKETS = 64, MAX_WINDOW = 64, TOKEN_LENGTH = 4, USAGE = 2 };

static struct {
    const char *host, *path, *query, *payload, *raw;
    int port, method, content_format, accept, sockets, window, echo, duplicate, cpu, expect, non;
    long count, retransmit_ms;
    size_t body; /* bytes of a body that comes in blocks; 0: one answer is all */
    double seconds, warmup;
} wish = {.host = "127.0.0.1", .port = 5683, .path = "s/contact", .query = "", .method = 1,
          .content_format = -1, .accept = -1, .sockets = 8, .window = 8, .cpu = -1,
          .retransmit_ms = 100, .seconds = 2.0, .warmup = 0.1};

static struct request request;
static unsigned token_length;

static void stop(const char *what, const char *fix) {
    fprintf(stderr, "load: %s: %s\n", what, fix);
    exit(USAGE);
}

static void failed(const char *what) { stop(what, strerror(errno)); }

static int code_of(const char *text) {
    unsigned class, detail;

    if (sscanf(text, "%u.%u", &class, &detail) != 2 || class > 7 || detail > 31) {
        stop("--expect", "give a code as class.detail, for example 2.05");
    }
    return (int)(class << 5 | detail);
}

static int method_of(const char *name) {
    static const char *const names[] = {"get",   "post",  "put",   "delete",
                                        "fetch", "patch", "ipatch"};

    for (int i = 0; i < 7; i++) {
        if (!strcasecmp(name, names[i])) {
            return i + 1;
        }
    }
    stop("--method", "one of get, post, put, delete, fetch, patch, ipatch");
    return 0;
}

static double number_of(const char *option, const char *text, double low, double high) {
    char *end, what[40], fix[80];
    double value = strtod(text, &end);

    if (end == text || *end || value < low || value > high) {
        snprintf(fix, sizeof fix, "give a number from %g to %g", low, high);
        snprintf(what, sizeof what, "--%s", option);
        stop(what, fix);
    }
    return value;
}

static void read_arguments(int argc, char **argv) {
    enum { HOST, PORT, PATH, QUERY, RAW, METHOD, PAYLOAD, FORMAT, ACCEPTED, EXPECT, SECONDS,
           WARMUP, COUNT, SOCKETS, WINDOW, AGAIN, CPU, BODY, ECHOED, NON, DUPLICATE };
    static const struct option known[] = {
        {"host", 1, 0, HOST}, {"port", 1, 0, PORT}, {"path", 1, 0, PATH}, {"query", 1, 0, QUERY},
        {"raw", 1, 0, RAW}, {"method", 1, 0, METHOD}, {"payload", 1, 0, PAYLOAD},
        {"content-format", 1, 0, FORMAT}, {"accept", 1, 0, ACCEPTED}, {"expect", 1, 0, EXPECT},
        {"seconds", 1, 0, SECONDS}, {"warmup", 1, 0, WARMUP}, {"count", 1, 0, COUNT},
        {"sockets", 1, 0, SOCKETS}, {"window", 1, 0, WINDOW}, {"retransmit-ms", 1, 0, AGAIN},
        {"cpu", 1, 0, CPU}, {"body", 1, 0, BODY},
        {"echo", 0, 0, ECHOED}, {"non", 0, 0, NON}, {"duplicate", 0, 0, DUPLICATE}, {0}};
    int found, which = 0;

    opterr = 0;
    while ((found = getopt_long(argc, argv, "", known, &which)) != -1) {
        const char *name = found == '?' ? "" : known[which].name;

        switch (found) {
        case HOST: wish.host = optarg; break;
        case PORT: wish.port = (int)number_of(name, optarg, 1, 65535); break;
        case PATH: wish.path = optarg; break;
        case QUERY: wish.query = optarg; break;
        case RAW: wish.raw = optarg; break;
        case METHOD: wish.method = method_of(optarg); break;
        case PAYLOAD: wish.payload = optarg; break;
        case FORMAT: wish.content_format = (int)number_of(name, optarg, 0, 65535); break;
        case ACCEPTED: wish.accept = (int)number_of(name, optarg, 0, 65535); break;
        case EXPECT: wish.expect = code_of(optarg); break;
        case SECONDS: wish.seconds = number_of(name, optarg, 0.01, 600); break;
        case WARMUP: wish.warmup = number_of(name, optarg, 0, 60); break;
        case COUNT: wish.count = (long)number_of(name, optarg, 1, 1e9); break;
        case SOCKETS: wish.sockets = (int)number_of(name, optarg, 1, MAX_SOCKETS); break;
        case WINDOW: wish.window = (int)number_of(name, optarg, 1, MAX_WINDOW); break;
        case AGAIN: wish.retransmit_ms = (long)number_of(name, optarg, 1, 60000); break;
        case CPU: wish.cpu = (int)number_of(name, optarg, 0, 1023); break;
        case BODY: wish.body = (size_t)number_of(name, optarg, 1, MAX_BODY); break;
        case ECHOED: wish.echo = 1; break;
        case NON: wish.non = 1; break;
        case DUPLICATE: wish.duplicate = 1; break;
        default: stop(argv[optind - 1], "unknown, or its value is missing; see wish.h");
        }
    }
    if (wish.count) {
        wish.warmup = 0; /* all of them count */
    }
    if (wish.body && (wish.raw || wish.payload || wish.duplicate || wish.echo)) {
        stop("--body", "goes with --path, --query and --accept only");
    }
    if (optind < argc) {
        stop(argv[optind], "takes options only; they stand in wish.h");
    }
}

/* Encode the template of all requests. */
static inline void build(void) {
    uint8_t first = (uint8_t)(0x40 | wish.non << 4 | TOKEN_LENGTH); /* version 1, CON or NON */
    uint8_t header[4] = {first, (uint8_t)wish.method, 0, 0};
    int overflow;

    if (wish.raw) {
        unsigned byte;

        for (const char *c = wish.raw; *c; c += 2) {
            if (!isxdigit((unsigned char)c[0]) || !isxdigit((unsigned char)c[1]) ||
                request.length == MAX_DATAGRAM || sscanf(c, "%2x", &byte) != 1) {
                stop("--raw", "give whole bytes in hex, at most 1500");
            }
            request.bytes[request.length++] = (uint8_t)byte;
        }
        token_length = request.bytes[0] & 15;
        if (request.length < 4 + token_length || token_length > 8) {
            stop("--raw", "give a whole CoAP message with a token of 0 to 8 bytes");
        }
        return;
    }
    token_length = TOKEN_LENGTH;
    overflow = add_bytes(&request, header, 4) || add_bytes(&request, "\0\0\0\0", TOKEN_LENGTH);
    overflow |= add_parts(&request, URI_PATH, wish.path, '/');
    if (wish.content_format >= 0) {
        overflow |= add_uint(&request, CONTENT_FORMAT, (unsigned)wish.content_format);
    }
    overflow |= add_parts(&request, URI_QUERY, wish.query, '&');
    if (wish.accept >= 0) {
        overflow |= add_uint(&request, ACCEPT, (unsigned)wish.accept);
    }
    if (wish.payload) {
        overflow |= add_bytes(&request, "\xff", 1);
        overflow |= add_bytes(&request, wish.payload, strlen(wish.payload));
    }
    if (overflow) {
        stop("request", "longer than a datagram of 1500 bytes; shorten path or payload");
    }
}

#endif

/* What a load client counts, for how long, and its report. */

#ifndef MOTE_BENCH_LOAD_STATS_H
#define MOTE_BENCH_LOAD_STATS_H

#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "load_args.h"

enum { MAX_LATENCY_US = 1000000 };

static struct {
    long requests, retransmitted, given_up, malformed, unexpected, bad_codes;
    int code;
    size_t response_bytes;
    int measuring; /* the warm-up is over */
    int64_t start_us;
    double start_cpu;                         /* seconds of processor time */
    unsigned latency_us[MAX_LATENCY_US + 1]; /* how many responses took so long */
} stats;

static int64_t now_us(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static double cpu_seconds(void) {
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Start the clock: of the warm-up or, without one, of the measurement. */
static void start_clock(void) {
    stats.start_us = now_us();
    stats.measuring = args.warmup == 0;
}

/* End the warm-up when it is over. Returns 1 when it ends now. */
static int warmup_ends(int64_t now) {
    if (stats.measuring || (double)(now - stats.start_us) < args.warmup * 1e6) {
        return 0;
    }
    stats.measuring = 1;
    stats.start_us = now;
    stats.start_cpu = cpu_seconds();
    return 1;
}

/* Return 1 when `counted` reached --count or, without it, --seconds are over. A busy computer may
 * take longer than those to bring the first response. */
static int is_done(int64_t now, long counted) {
    if (!stats.measuring) {
        return 0;
    }
    return args.count ? counted >= args.count
                      : stats.requests && (double)(now - stats.start_us) >= args.seconds * 1e6;
}

static void count_response(int64_t latency, int code, size_t length) {
    stats.latency_us[latency < MAX_LATENCY_US ? latency : MAX_LATENCY_US]++;
    stats.requests++;
    stats.code = code;
    stats.response_bytes = length;
}

static long percentile_us(double share) {
    double left = (double)stats.requests * share;
    long us = 0;

    while (us < MAX_LATENCY_US && (left -= stats.latency_us[us]) > 0) {
        us++;
    }
    return us;
}

/* Print one line of JSON. mid_reused: a Message ID came twice within its lifetime. */
static void print_report(int64_t end_us, int mid_reused) {
    double seconds = (double)(end_us - stats.start_us) / 1e6;

    printf("{\"requests\": %ld, \"seconds\": %.4f, \"rate\": %.1f, ", stats.requests, seconds,
           (double)stats.requests / seconds);
    printf("\"p50_us\": %ld, \"p99_us\": %ld, ", percentile_us(0.5), percentile_us(0.99));
    printf("\"errors\": %ld, \"bad_codes\": %ld, \"retransmitted\": %ld, \"unexpected\": %ld, ",
           stats.malformed + stats.given_up, stats.bad_codes, stats.retransmitted,
           stats.unexpected);
    printf("\"code\": \"%d.%02d\", \"response_bytes\": %zu, \"mid_reused\": %s, ", stats.code >> 5,
           stats.code & 31, stats.response_bytes, mid_reused ? "true" : "false");
    printf("\"client_cpu\": %.3f}\n", (cpu_seconds() - stats.start_cpu) / seconds);
}

#endif

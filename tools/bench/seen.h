/* What the load client has seen, and its report of it. */

#ifndef MOTE_BENCH_SEEN_H
#define MOTE_BENCH_SEEN_H

#include <stdio.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

enum { LONGEST_US = 1000000 };

static struct {
    long requests, retransmitted, given_up, wrong, unexpected, bad_codes;
    int code;
    size_t answer_bytes;
    double cpu_before;                /* seconds of processor time when measuring began */
    unsigned took_us[LONGEST_US + 1]; /* how often an answer took so long */
} seen;

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

static long percentile_us(double share) {
    double left = (double)seen.requests * share;
    long us = 0;

    while (us < LONGEST_US && (left -= seen.took_us[us]) > 0) {
        us++;
    }
    return us;
}

/* One line of JSON. mid_reused: a Message ID came twice within its lifetime. */
static void report(double seconds, int mid_reused) {
    printf("{\"requests\": %ld, \"seconds\": %.4f, \"rate\": %.1f, ", seen.requests, seconds,
           (double)seen.requests / seconds);
    printf("\"p50_us\": %ld, \"p99_us\": %ld, ", percentile_us(0.5), percentile_us(0.99));
    printf("\"errors\": %ld, \"bad_codes\": %ld, \"retransmitted\": %ld, \"unexpected\": %ld, ",
           seen.wrong + seen.given_up, seen.bad_codes, seen.retransmitted, seen.unexpected);
    printf("\"code\": \"%d.%02d\", \"answer_bytes\": %zu, \"mid_reused\": %s, ", seen.code >> 5,
           seen.code & 31, seen.answer_bytes, mid_reused ? "true" : "false");
    printf("\"client_cpu\": %.3f}\n", (cpu_seconds() - seen.cpu_before) / seconds);
}

#endif

/* Where the load comes from and goes to: the processor that a client runs on, its UDP sockets. */

#ifndef MOTE_BENCH_ENDPOINT_H
#define MOTE_BENCH_ENDPOINT_H

#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>

#include "wish.h"

static void pin(void) {
    cpu_set_t cpus;

    if (wish.cpu >= 0) {
        CPU_ZERO(&cpus);
        CPU_SET((size_t)wish.cpu, &cpus);
        if (sched_setaffinity(0, sizeof cpus, &cpus)) {
            failed("--cpu");
        }
    }
}

/* A socket that is connected to the server and never waits. */
static int open_socket(void) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)wish.port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    if (inet_pton(AF_INET, wish.host, &peer.sin_addr) != 1) {
        stop("--host", "give a numeric IPv4 address");
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof peer)) {
        failed("socket");
    }
    return fd;
}

static void refused(void) {
    stop("connection refused", "nothing listens there; start the server, or check --port");
}

#endif

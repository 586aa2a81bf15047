/* UDP sockets, and the processor that a load client runs on. */

#ifndef MOTE_BENCH_SOCKETS_H
#define MOTE_BENCH_SOCKETS_H

#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>

#include "load_args.h"

static void pin_to_cpu(void) {
    cpu_set_t cpus;

    if (args.cpu >= 0) {
        CPU_ZERO(&cpus);
        CPU_SET((size_t)args.cpu, &cpus);
        if (sched_setaffinity(0, sizeof cpus, &cpus)) {
            die("--cpu", strerror(errno));
        }
    }
}

/* Return a non-blocking socket that is connected to the server. */
static int open_socket(void) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)args.port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    if (inet_pton(AF_INET, args.host, &peer.sin_addr) != 1) {
        die("--host", "give a numeric IPv4 address");
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof peer)) {
        die("socket", strerror(errno));
    }
    return fd;
}

/* Return the result of a send or receive; end the program when nothing listens there. */
static long checked(long result) {
    if (result < 0 && errno == ECONNREFUSED) {
        die("connection refused", "nothing listens there; start the server, or check --port");
    }
    return result;
}

#endif

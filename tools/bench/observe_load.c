/* Observe load client (RFC 7641): every socket observes one resource, one more socket changes it,
 * and the notifications are counted.
 *
 * Each change is a CON PUT of the round's number, 8 digits. A notification shows by its number
 * which rounds its observer knows; the next change is sent when all observers know the round
 * --window before it. What a server merges (RFC 7641 section 4.5.2) is thereby not counted. The
 * arguments are in load_args.h; the result is one line of JSON. Linux only. */

#define _GNU_SOURCE
#include <poll.h>

#include "blocks.h"
#include "load_stats.h"
#include "sockets.h"

enum { REGISTER = 0, DEREGISTER = 1, DIGITS = 8, MAX_TRIES = 100 };

static const char NOT_NOTIFIED[] = "a PUT to --path must notify its observers of the new value";

struct observer { /* one socket: one endpoint for the server */
    int fd;
    uint8_t token[TOKEN_LENGTH];
    long round; /* the newest that it knows */
};

static struct observer *observers;
static struct request put; /* its last bytes are the round's number */
static int put_socket;
static uint16_t next_mid;
static long sent, first_counted;
static int64_t sent_us[65536]; /* by round */

static void send_datagram(int fd, const void *bytes, size_t length) {
    checked(send(fd, bytes, length, 0));
}

/* ---- registration ---- */

/* Send a request until its ACK with a 2.xx code comes; returns the length of the response. */
static size_t exchange(int fd, struct request *request, uint8_t *response) {
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    set_mid(request->bytes, next_mid++);
    for (int i = 0; i < MAX_TRIES; i++) {
        send_datagram(fd, request->bytes, request->length);
        while (poll(&readable, 1, args.retransmit_ms) > 0) {
            long n = checked(recv(fd, response, 2048, MSG_DONTWAIT));

            if (n >= 4 && type_of(response) == ACK && !memcmp(response + 2, request->bytes + 2, 2)) {
                if (response[1] >> 5 != 2) {
                    die("--path", "it cannot be observed, or not be changed by a PUT");
                }
                return (size_t)n;
            }
        }
    }
    die("no valid answer", "a server is there; check --path");
    return 0;
}

/* Send a GET with this value of Observe; returns the length of the response. */
static size_t get(struct observer *observer, unsigned observe, uint8_t *response) {
    struct request request;

    begin_request(&request, GET, observer->token);
    add_uint(&request, OBSERVE, observe);
    add_parts(&request, URI_PATH, args.path, '/');
    return exchange(observer->fd, &request, response);
}

static void register_observer(struct observer *observer, int number) {
    uint8_t response[2048];
    const uint8_t *payload;
    unsigned observe = UINT32_MAX;
    size_t length;

    memcpy(observer->token, "obs", 3);
    observer->token[3] = (uint8_t)number;
    observer->fd = open_socket();
    length = get(observer, REGISTER, response);
    if (!find_option(OBSERVE, response + 4 + TOKEN_LENGTH, response + length, &observe, &payload) ||
        observe == UINT32_MAX) {
        die("--path", "the server takes no more observers of it");
    }
}

static void open_sockets(void) {
    uint8_t response[2048];

    put_socket = open_socket();
    begin_request(&put, PUT, "put0");
    add_parts(&put, URI_PATH, args.path, '/');
    add_uint(&put, CONTENT_FORMAT, 0); /* text */
    add_bytes(&put, "\xff" "00000000", 1 + DIGITS);
    exchange(put_socket, &put, response);
    observers = calloc((size_t)args.sockets, sizeof *observers);
    for (int i = 0; i < args.sockets; i++) {
        register_observer(observers + i, i);
    }
}

/* ---- changes and notifications ---- */

static void send_change(int64_t now) {
    uint8_t *digit = put.bytes + put.length;

    sent++;
    set_mid(put.bytes, next_mid++);
    for (long left = sent, i = 0; i < DIGITS; i++, left /= 10) {
        *--digit = (uint8_t)('0' + left % 10);
    }
    sent_us[sent & 0xffff] = now;
    send_datagram(put_socket, put.bytes, put.length);
}

static void receive_acknowledgements(void) {
    uint8_t response[2048];
    ssize_t n;

    while ((n = recv(put_socket, response, sizeof response, 0)) >= 0) {
        if (n < 4 || type_of(response) != ACK) {
            stats.malformed++;
        } else if (stats.measuring && response[1] >> 5 != 2) {
            stats.bad_codes++;
            stats.code = response[1];
        }
    }
}

static void handle_notification(struct observer *observer, const uint8_t *bytes, size_t length,
                                int64_t now) {
    unsigned observe = UINT32_MAX;
    const uint8_t *payload;
    long round = 0;

    if (type_of(bytes) == CON) {
        uint8_t empty[4] = {0x40 | ACK << 4, 0, bytes[2], bytes[3]};

        send_datagram(observer->fd, empty, sizeof empty);
    }
    if (type_of(bytes) > NON || (bytes[0] & 15) != TOKEN_LENGTH || bytes[1] != CONTENT ||
        memcmp(bytes + 4, observer->token, TOKEN_LENGTH) ||
        !find_option(OBSERVE, bytes + 4 + TOKEN_LENGTH, bytes + length, &observe, &payload) ||
        observe == UINT32_MAX || bytes + length - payload != DIGITS) {
        stats.malformed++;
        return;
    }
    for (int i = 0; i < DIGITS; i++) {
        round = round * 10 + payload[i] - '0';
    }
    if (round <= observer->round) {
        stats.unexpected++; /* retransmitted, or overtaken */
        return;
    }
    observer->round = round;
    if (stats.measuring && round > first_counted) {
        count_response(now - sent_us[round & 0xffff], bytes[1], length);
    }
}

/* Returns the newest round that all observers know. */
static long receive_notifications(void) {
    long least = sent;

    for (int i = 0; i < args.sockets; i++) {
        struct observer *observer = observers + i;
        uint8_t bytes[2048];
        ssize_t n;

        while ((n = recv(observer->fd, bytes, sizeof bytes, 0)) >= 0) {
            if (n < 4 + TOKEN_LENGTH) {
                stats.malformed++;
            } else {
                handle_notification(observer, bytes, (size_t)n, now_us());
            }
        }
        least = observer->round < least ? observer->round : least;
    }
    return least;
}

/* Returns the time at which the measurement ended. It polls without pause: a wake-up by the kernel
 * takes about as long as a round. */
static int64_t run(void) {
    int64_t now, progress_us;
    long known = sent;

    start_clock();
    progress_us = stats.start_us;
    do {
        long before = known;

        receive_acknowledgements();
        known = receive_notifications();
        now = now_us();
        if (warmup_ends(now)) {
            first_counted = sent;
        }
        if (known != before) {
            progress_us = now;
        } else if (now - progress_us > args.retransmit_ms * 1000) {
            stats.retransmitted++;
            stats.given_up += stats.retransmitted % MAX_TRIES == 0;
            progress_us = now;
            send_change(now); /* the newest state is all that an observer needs */
        }
        if (stats.given_up) {
            die("no notification",
                stats.requests ? "the server has lost an observer of --path" : NOT_NOTIFIED);
        }
        while (sent - known < args.window && (!args.count || sent - first_counted < args.count)) {
            send_change(now);
        }
    } while (!is_done(now, known - first_counted));
    if (!stats.requests) {
        die("no notification", NOT_NOTIFIED);
    }
    return now;
}

int main(int argc, char **argv) {
    uint8_t response[2048];
    int64_t end_us;

    parse_arguments(argc, argv);
    pin_to_cpu();
    srand((unsigned)now_us());
    next_mid = (uint16_t)rand();
    open_sockets();
    end_us = run();
    for (int i = 0; i < args.sockets; i++) { /* the next observers may need their places */
        get(observers + i, DEREGISTER, response);
    }
    print_report(end_us, sent > 65536);
    return 0;
}

/* Observe fan-out load client (RFC 7641): every socket observes one resource, one more socket
 * changes it, and the notifications are counted.
 *
 * Each change is a CON PUT of the round's number, 8 digits. A notification shows by its number
 * which rounds its observer knows; the next change goes out when all observers know the round
 * --window before it. What a server merges (RFC 7641 section 4.5.2) is thereby not counted.
 * Takes the arguments of load (wish.h); the result is one line of JSON. Linux only. */

#define _GNU_SOURCE
#include <poll.h>

#include "body.h"
#include "endpoint.h"
#include "seen.h"

enum { OBSERVE = 6, REGISTER = 0, DEREGISTER = 1 };
enum { DIGITS = 8, TRIES = 100, CON = 0, NON = 1, ACK = 2, CONTENT = 0x45 };

static const char UNTOLD[] = "a PUT to --path must tell its observers the new value";

struct observer { /* one socket: one endpoint for the server */
    int fd;
    uint8_t token[TOKEN_LENGTH];
    long round; /* the newest that it knows */
};

static struct observer *observers;
static struct request change; /* the template of a PUT: its number are the last bytes */
static int changer;
static uint16_t next_mid;
static long sent, first_counted;
static int64_t sent_us[65536]; /* round -> when it was sent */
static int measuring;

/* ---- messages ---- */

static uint16_t start_message(struct request *message, unsigned method, const uint8_t *token) {
    uint16_t mid = next_mid++;
    uint8_t header[4] = {0x40 | TOKEN_LENGTH, (uint8_t)method, (uint8_t)(mid >> 8), (uint8_t)mid};

    message->length = message->last_option = 0;
    add_bytes(message, header, sizeof header);
    add_bytes(message, token, TOKEN_LENGTH);
    return mid;
}

static void tell(int fd, const void *bytes, size_t length) {
    if (send(fd, bytes, length, 0) < 0 && errno == ECONNREFUSED) {
        refused();
    }
}

/* Send a request until its ACK with a 2.xx code comes; returns the ACK's length. */
static size_t exchange(int fd, const struct request *message, uint8_t *answer) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    for (int i = 0; i < TRIES; i++) {
        tell(fd, message->bytes, message->length);
        while (poll(&waiting, 1, (int)wish.retransmit_ms) > 0) {
            ssize_t n = recv(fd, answer, 2048, MSG_DONTWAIT);

            if (n < 0 && errno == ECONNREFUSED) {
                refused();
            }
            if (n >= 4 && (answer[0] >> 4 & 3) == ACK && !memcmp(answer + 2, message->bytes + 2, 2)) {
                if (answer[1] >> 5 != 2) {
                    stop("--path", "it cannot be observed, or not be changed by a PUT");
                }
                return (size_t)n;
            }
        }
    }
    stop("no valid answer", "a server is there; check --path");
    return 0;
}

/* ---- the set-up ---- */

static void build_change(void) {
    static const uint8_t token[TOKEN_LENGTH] = {'p', 'u', 't', '0'};

    start_message(&change, 3, token);
    if (add_parts(&change, URI_PATH, wish.path, '/')) {
        stop("request", "longer than a datagram of 1500 bytes; shorten the path");
    }
    add_option(&change, CONTENT_FORMAT, "", 0); /* text */
    add_bytes(&change, "\xff" "00000000", 1 + DIGITS);
}

/* Send a GET with this value of Observe; returns the length of its answer. */
static size_t ask(struct observer *observer, unsigned wanted, uint8_t *answer) {
    struct request message;

    start_message(&message, 1, observer->token);
    add_uint(&message, OBSERVE, wanted);
    add_parts(&message, URI_PATH, wish.path, '/');
    return exchange(observer->fd, &message, answer);
}

static void observe(struct observer *observer, int number) {
    uint8_t answer[2048];
    const uint8_t *payload;
    unsigned value = UINT32_MAX;
    size_t length;

    memcpy(observer->token, "obs", 3);
    observer->token[3] = (uint8_t)number;
    observer->fd = open_socket();
    length = ask(observer, REGISTER, answer);
    if (!look_for(OBSERVE, answer + 4 + TOKEN_LENGTH, answer + length, &value, &payload) ||
        value == UINT32_MAX) {
        stop("--path", "the server takes no more observers of it");
    }
}

/* ---- the run ---- */

static void send_change(int64_t now) {
    uint8_t *digit = change.bytes + change.length;

    sent++;
    next_mid++;
    change.bytes[2] = (uint8_t)(next_mid >> 8);
    change.bytes[3] = (uint8_t)next_mid;
    for (long left = sent, i = 0; i < DIGITS; i++, left /= 10) {
        *--digit = (uint8_t)('0' + left % 10);
    }
    sent_us[sent & 0xffff] = now;
    tell(changer, change.bytes, change.length);
}

static void take_acknowledgements(void) {
    uint8_t answer[2048];
    ssize_t n;

    while ((n = recv(changer, answer, sizeof answer, 0)) >= 0) {
        if (n < 4 || (answer[0] >> 4 & 3) != ACK) {
            seen.wrong++;
        } else if (measuring && answer[1] >> 5 != 2) {
            seen.bad_codes++;
            seen.code = answer[1];
        }
    }
}

static void take_notification(struct observer *observer, const uint8_t *bytes, size_t length,
                              int64_t now) {
    unsigned type = bytes[0] >> 4 & 3, number = UINT32_MAX;
    const uint8_t *payload;
    long round = 0;
    int64_t took;

    if (type == CON) {
        uint8_t empty[4] = {0x40 | ACK << 4, 0, bytes[2], bytes[3]};

        tell(observer->fd, empty, sizeof empty);
    }
    if ((type != CON && type != NON) || (bytes[0] & 15) != TOKEN_LENGTH || bytes[1] != CONTENT ||
        memcmp(bytes + 4, observer->token, TOKEN_LENGTH) ||
        !look_for(OBSERVE, bytes + 4 + TOKEN_LENGTH, bytes + length, &number, &payload) ||
        number == UINT32_MAX || bytes + length - payload != DIGITS) {
        seen.wrong++;
        return;
    }
    for (int i = 0; i < DIGITS; i++) {
        round = round * 10 + payload[i] - '0';
    }
    if (round <= observer->round) {
        seen.unexpected++; /* sent again, or overtaken */
        return;
    }
    observer->round = round;
    if (measuring && round > first_counted) {
        took = now - sent_us[round & 0xffff];
        seen.took_us[took < LONGEST_US ? took : LONGEST_US]++;
        seen.requests++;
        seen.code = bytes[1];
        seen.answer_bytes = length;
    }
}

static long take_notifications(void) {
    long least = sent;

    for (int i = 0; i < wish.sockets; i++) {
        struct observer *observer = observers + i;
        uint8_t bytes[2048];
        ssize_t n;

        while ((n = recv(observer->fd, bytes, sizeof bytes, 0)) >= 0) {
            if (n < 4 + TOKEN_LENGTH) {
                seen.wrong++;
            } else {
                take_notification(observer, bytes, (size_t)n, now_us());
            }
        }
        least = observer->round < least ? observer->round : least;
    }
    return least;
}

/* Nothing is waited for: to be woken takes about as long as a round. */
static double run(void) {
    int64_t start = now_us(), moved = start, now = start;
    long known = sent;

    measuring = wish.warmup == 0;
    first_counted = sent;
    for (;;) {
        long before = known;

        take_acknowledgements();
        known = take_notifications();
        now = now_us();
        if (!measuring && (double)(now - start) >= wish.warmup * 1e6) {
            measuring = 1;
            start = now;
            first_counted = sent;
            seen.cpu_before = cpu_seconds();
        } else if (measuring && (wish.count ? known - first_counted >= wish.count
                                            : seen.requests && /* a busy computer may need longer */
                                                  (double)(now - start) >= wish.seconds * 1e6)) {
            return (double)(now - start) / 1e6;
        }
        if (known != before) {
            moved = now;
        } else if (now - moved > wish.retransmit_ms * 1000) {
            seen.retransmitted++;
            seen.given_up += seen.retransmitted % TRIES == 0;
            moved = now;
            send_change(now); /* the newest state is all that an observer needs */
        }
        if (seen.given_up) {
            stop("no notification", seen.requests ? "the server has lost an observer of --path" : UNTOLD);
        }
        while (sent - known < wish.window && (!wish.count || sent - first_counted < wish.count)) {
            send_change(now);
        }
    }
}

int main(int argc, char **argv) {
    uint8_t answer[2048];
    double seconds;

    read_arguments(argc, argv);
    pin();
    srand((unsigned)now_us());
    next_mid = (uint16_t)rand();
    changer = open_socket();
    build_change();
    exchange(changer, &change, answer);
    observers = calloc((size_t)wish.sockets, sizeof *observers);
    for (int i = 0; i < wish.sockets; i++) {
        observe(observers + i, i);
    }
    seconds = run();
    if (!seen.requests) {
        stop("no notification", UNTOLD);
    }
    for (int i = 0; i < wish.sockets; i++) { /* the next ones may need their places */
        ask(observers + i, DEREGISTER, answer);
    }
    report(seconds, sent > 65536);
    return 0;
}

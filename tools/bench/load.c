/* Closed-loop CoAP load client: several UDP sockets, each with a window of outstanding
 * requests; every answer is checked and at once followed by the next request.
 *
 * Answers are matched by Message ID and token (RFC 7252 sections 4.4 and 5.3.2). What is not
 * answered in time is sent again, and given up after some tries. The result is one line of JSON.
 * Linux only: recvmmsg and sendmmsg keep the client from being the bottleneck. */

#define _GNU_SOURCE
#include <sys/epoll.h>

#include "body.h"
#include "endpoint.h"
#include "seen.h"

enum { MAX_TRIES = 100, NOBODY = 0xff, PATIENCE_US = 10000000, CONTENT = 0x45 };
#define NEVER_US (INT64_MAX / 2)

struct slot { /* one outstanding request */
    uint8_t bytes[MAX_DATAGRAM + MAX_BLOCK_OPTION];
    size_t length, got; /* of the request; bytes of the body that have come */
    uint16_t mid;
    unsigned tries;
    int64_t first_us, sent_us;
};

struct lane { /* one socket: one endpoint for the server */
    int fd;
    uint16_t next_mid;
    uint32_t next_token;
    long sent;
    struct slot slots[MAX_WINDOW];
    uint8_t owner[65536]; /* MID -> slot, NOBODY when it is not outstanding */
};

static struct lane *lanes;
static int measuring;
static long started;
static uint8_t incoming[MAX_WINDOW][2048];

/* Give a slot's request its MID and token; a duplicate keeps those that it had. */
static void stamp(struct lane *lane, struct slot *slot) {
    uint8_t *bytes = slot->bytes;

    if (!wish.duplicate) {
        slot->mid = lane->next_mid++;
        lane->next_token++;
        lane->owner[slot->mid] = (uint8_t)(slot - lane->slots);
    }
    bytes[2] = (uint8_t)(slot->mid >> 8);
    bytes[3] = (uint8_t)slot->mid;
    for (unsigned i = 0; i < token_length; i++) {
        bytes[4 + i] = (uint8_t)(lane->next_token >> (8 * (i & 3)));
    }
    slot->tries = 0;
    lane->sent++;
}

/* Make the next request of a slot. Returns 0 when --count wants no more: the slot then rests. */
static int begin(struct lane *lane, struct slot *slot, int64_t now) {
    if (wish.count && started == wish.count) {
        slot->sent_us = NEVER_US;
        return 0;
    }
    started++;
    slot->length = request.length;
    slot->got = 0;
    slot->first_us = slot->sent_us = now;
    stamp(lane, slot);
    return 1;
}

/* ---- the wire ---- */

static void send_slots(struct lane *lane, struct slot **slots, unsigned count, int64_t now) {
    struct mmsghdr messages[MAX_WINDOW] = {0};
    struct iovec parts[MAX_WINDOW];
    unsigned done = 0;

    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct iovec){slots[i]->bytes, slots[i]->length};
        messages[i].msg_hdr.msg_iov = parts + i;
        messages[i].msg_hdr.msg_iovlen = 1;
        slots[i]->tries++;
        slots[i]->sent_us = now;
    }
    while (done < count) {
        int n = sendmmsg(lane->fd, messages + done, count - done, 0);

        if (n < 0 && errno == ECONNREFUSED) {
            refused();
        }
        if (n < 0) {
            return; /* full buffers: the retransmission takes care of it */
        }
        done += (unsigned)n;
    }
}

/* The slot that this answer settles, NULL when it settles none. When it brought but a part of a
 * body, the slot's request for the next one is made. */
static struct slot *settle(struct lane *lane, const uint8_t *answer, size_t length, int64_t now) {
    struct slot *slot;
    struct part part = {0};
    unsigned owner, type = length ? answer[0] >> 4 & 3 : 0;
    int64_t took;
    int code;

    if (length < 4 + token_length || answer[0] >> 6 != 1) {
        seen.wrong++;
        return NULL;
    }
    if (wish.non && !wish.echo) { /* a NON answer has a MID of the server's: the token decides */
        for (owner = 0; owner < (unsigned)wish.window; owner++) {
            if (!memcmp(lane->slots[owner].bytes + 4, answer + 4, token_length)) {
                break;
            }
        }
    } else {
        owner = lane->owner[answer[2] << 8 | answer[3]];
        if (wish.duplicate && owner != NOBODY) { /* all slots are equal: the oldest is answered */
            for (unsigned i = 0; i < (unsigned)wish.window; i++) {
                owner = lane->slots[i].sent_us < lane->slots[owner].sent_us ? i : owner;
            }
        }
    }
    if (owner >= (unsigned)wish.window) {
        seen.unexpected++; /* the late answer to something that was sent again */
        return NULL;
    }
    slot = lane->slots + owner;
    code = answer[1];
    if (wish.echo ? length != request.length || memcmp(answer, slot->bytes, length)
                  : (answer[0] & 15) != token_length || type != (wish.non ? 1 : 2) ||
                        memcmp(answer + 4, slot->bytes + 4, token_length)) {
        seen.wrong++;
        return NULL;
    }
    if (wish.body && code == CONTENT &&
        !(part_of(answer, length, token_length, &part) && fits(&part, slot->got, wish.body))) {
        seen.wrong++;
        return NULL;
    }
    if (!wish.duplicate) {
        lane->owner[slot->mid] = NOBODY;
    }
    slot->got += part.length;
    if (part.block & MORE) {
        slot->length = request.length;
        slot->length += add_next(slot->bytes + slot->length, request.last_option, &part);
        return slot;
    }
    slot->got = 0;
    if (measuring) {
        took = now - slot->first_us;
        seen.took_us[took < LONGEST_US ? took : LONGEST_US]++;
        seen.requests++;
        seen.bad_codes += !wish.echo && (wish.expect ? code != wish.expect : code >> 5 != 2);
        seen.code = code;
        seen.answer_bytes = length;
    }
    return slot;
}

static void receive(struct lane *lane) {
    struct mmsghdr messages[MAX_WINDOW] = {0};
    struct iovec parts[MAX_WINDOW];
    struct slot *settled[MAX_WINDOW];
    unsigned count = 0;
    int64_t now;
    int n;

    for (int i = 0; i < wish.window; i++) {
        parts[i] = (struct iovec){incoming[i], sizeof incoming[i]};
        messages[i].msg_hdr.msg_iov = parts + i;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    n = recvmmsg(lane->fd, messages, (unsigned)wish.window, MSG_DONTWAIT, NULL);
    if (n < 0 && errno == ECONNREFUSED) {
        refused();
    }
    now = now_us();
    for (int i = 0; i < n; i++) {
        struct slot *slot = settle(lane, incoming[i], messages[i].msg_len, now);

        if (slot && slot->got) {
            stamp(lane, slot);
            settled[count++] = slot;
        } else if (slot && begin(lane, slot, now)) {
            settled[count++] = slot;
        }
    }
    send_slots(lane, settled, count, now);
}

static void send_again(struct lane *lane, int64_t now) {
    for (int i = 0; i < wish.window; i++) {
        struct slot *slot = lane->slots + i;

        if (now - slot->sent_us < wish.retransmit_ms * 1000) {
            continue;
        }
        seen.retransmitted++;
        if (slot->tries == MAX_TRIES) {
            seen.given_up++;
            lane->owner[slot->mid] = wish.duplicate ? 0 : NOBODY;
            if (!begin(lane, slot, now)) {
                continue;
            }
        }
        send_slots(lane, &slot, 1, now);
    }
}

static int open_lanes(void) {
    int poller = epoll_create1(0);

    lanes = calloc((size_t)wish.sockets, sizeof *lanes);
    srand((unsigned)now_us());
    for (int i = 0; i < wish.sockets; i++) {
        struct lane *lane = lanes + i;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = lane};

        lane->fd = open_socket();
        if (epoll_ctl(poller, EPOLL_CTL_ADD, lane->fd, &event)) {
            failed("epoll");
        }
        lane->next_mid = (uint16_t)rand();
        lane->next_token = (uint32_t)rand();
        memset(lane->owner, NOBODY, sizeof lane->owner);
        for (int k = 0; k < wish.window; k++) {
            memcpy(lane->slots[k].bytes, request.bytes, request.length);
            lane->slots[k].mid = lane->next_mid;
            lane->owner[lane->next_mid] = wish.duplicate ? 0 : NOBODY;
        }
    }
    return poller;
}

/* ---- the run ---- */

static double run(int poller) {
    int64_t start = now_us(), checked = start, now = start;
    struct epoll_event ready[MAX_SOCKETS];

    measuring = wish.warmup == 0;
    for (int i = 0; i < wish.sockets; i++) {
        struct slot *all[MAX_WINDOW];
        unsigned count = 0;

        for (int k = 0; k < wish.window; k++) {
            if (begin(lanes + i, lanes[i].slots + k, start)) {
                all[count++] = lanes[i].slots + k;
            }
        }
        send_slots(lanes + i, all, count, start);
    }
    for (;;) {
        int n = epoll_wait(poller, ready, MAX_SOCKETS, 10);

        for (int i = 0; i < n; i++) {
            receive(ready[i].data.ptr);
        }
        now = now_us();
        if (!measuring && (double)(now - start) >= wish.warmup * 1e6) {
            measuring = 1;
            start = now;
            seen.cpu_before = cpu_seconds();
        } else if (measuring && (wish.count ? seen.requests + seen.given_up == wish.count
                                            : seen.requests && /* a busy computer may need longer */
                                                  (double)(now - start) >= wish.seconds * 1e6)) {
            return (double)(now - start) / 1e6;
        }
        if (measuring && !seen.requests && now - start >= PATIENCE_US) {
            stop("no valid answer", "a server is there; check --path, --raw, --non and --echo");
        }
        if (now - checked >= 10000) {
            checked = now;
            for (int i = 0; i < wish.sockets; i++) {
                send_again(lanes + i, now);
            }
        }
    }
}

int main(int argc, char **argv) {
    double seconds;
    int reused = 0; /* a Message ID within its lifetime: a server may take it for a duplicate */

    read_arguments(argc, argv);
    pin();
    build();
    seconds = run(open_lanes());
    for (int i = 0; i < wish.sockets; i++) {
        reused |= lanes[i].sent > 65536;
    }
    if (!seen.requests) {
        stop("no valid answer", "a server is there; check --path, --raw, --non and --echo");
    }
    report(seconds, reused && !wish.duplicate);
    return 0;
}

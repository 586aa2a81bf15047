/* Closed-loop CoAP load client: several UDP sockets, each with a window of outstanding requests;
 * every response is checked and followed by the next request at once.
 *
 * Responses are matched by Message ID and token (RFC 7252 sections 4.4 and 5.3.2). A request
 * without a response is retransmitted, and given up after MAX_TRIES. The arguments are in
 * load_args.h; the result is one line of JSON. Linux only: recvmmsg and sendmmsg keep the client
 * from being the bottleneck. */

#define _GNU_SOURCE
#include <sys/epoll.h>

#include "blocks.h"
#include "load_stats.h"
#include "sockets.h"

enum { MAX_TRIES = 100, NO_EXCHANGE = 0xff, FIRST_RESPONSE_US = 10000000 };
#define NEVER_US (INT64_MAX / 2)

struct exchange { /* one outstanding request */
    struct request request;
    size_t received; /* bytes of the body, block by block */
    uint16_t mid;
    unsigned tries;
    int64_t first_us, sent_us;
};

struct endpoint { /* one socket */
    int fd;
    uint16_t next_mid;
    uint32_t next_token;
    long sent;
    struct exchange exchanges[MAX_WINDOW];
    uint8_t by_mid[65536]; /* index of the exchange with this Message ID, or NO_EXCHANGE */
};

static struct endpoint *endpoints;
static struct request template;
static long started;
static uint8_t incoming[MAX_WINDOW][2048];

/* ---- requests ---- */

static void build_template(void) {
    begin_request(&template, args.method, "\0\0\0\0");
    add_parts(&template, URI_PATH, args.path, '/');
    if (args.content_format >= 0) {
        add_uint(&template, CONTENT_FORMAT, (unsigned)args.content_format);
    }
    add_parts(&template, URI_QUERY, args.query, '&');
    if (args.accept >= 0) {
        add_uint(&template, ACCEPT, (unsigned)args.accept);
    }
    if (args.payload) {
        add_bytes(&template, "\xff", 1);
        add_bytes(&template, args.payload, strlen(args.payload));
    }
}

/* Give a request its Message ID and token; with --duplicate it keeps those that it has. */
static void set_ids(struct endpoint *endpoint, struct exchange *exchange) {
    if (!args.duplicate) {
        exchange->mid = endpoint->next_mid++;
        endpoint->next_token++;
        endpoint->by_mid[exchange->mid] = (uint8_t)(exchange - endpoint->exchanges);
    }
    set_mid(exchange->request.bytes, exchange->mid);
    memcpy(exchange->request.bytes + 4, &endpoint->next_token, TOKEN_LENGTH);
    exchange->tries = 0;
    endpoint->sent++;
}

/* Start the next request of an exchange. Returns 0 when --count is reached: it then rests. */
static int start_exchange(struct endpoint *endpoint, struct exchange *exchange, int64_t now) {
    if (args.count && started == args.count) {
        exchange->sent_us = NEVER_US;
        return 0;
    }
    started++;
    exchange->request.length = template.length;
    exchange->received = 0;
    exchange->first_us = exchange->sent_us = now;
    set_ids(endpoint, exchange);
    return 1;
}

static void send_requests(struct endpoint *endpoint, struct exchange **exchanges, unsigned count,
                          int64_t now) {
    struct mmsghdr messages[MAX_WINDOW] = {0};
    struct iovec parts[MAX_WINDOW];

    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct iovec){exchanges[i]->request.bytes, exchanges[i]->request.length};
        messages[i].msg_hdr.msg_iov = parts + i;
        messages[i].msg_hdr.msg_iovlen = 1;
        exchanges[i]->tries++;
        exchanges[i]->sent_us = now;
    }
    for (unsigned done = 0; done < count;) {
        long n = checked(sendmmsg(endpoint->fd, messages + done, count - done, 0));

        if (n < 0) {
            return; /* full buffers: the retransmission takes care of it */
        }
        done += (unsigned)n;
    }
}

/* ---- responses ---- */

/* Return the index of the exchange to which a response belongs, NO_EXCHANGE when there is none. */
static unsigned find_exchange(const struct endpoint *endpoint, const uint8_t *response) {
    const struct exchange *exchanges = endpoint->exchanges;
    unsigned found = endpoint->by_mid[response[2] << 8 | response[3]];

    if (args.duplicate && found != NO_EXCHANGE) { /* all are equal: the oldest has its response */
        for (unsigned i = 0; i < (unsigned)args.window; i++) {
            found = exchanges[i].sent_us < exchanges[found].sent_us ? i : found;
        }
    }
    return found;
}

/* Return 1 when a response is what the exchange waits for. */
static int is_valid(const struct exchange *exchange, const uint8_t *response, size_t length) {
    const uint8_t *request = exchange->request.bytes;

    if (args.echo) {
        return length == template.length && !memcmp(response, request, length);
    }
    return (response[0] & 15) == TOKEN_LENGTH && type_of(response) == ACK &&
           !memcmp(response + 4, request + 4, TOKEN_LENGTH);
}

/* Return the exchange that goes on after this datagram: with its next block, whose request is then
 * made, or, with *done set, with its next request. NULL when the datagram settles nothing. */
static struct exchange *handle_response(struct endpoint *endpoint, const uint8_t *response,
                                        size_t length, int64_t now, int *done) {
    struct exchange *exchange;
    struct block block = {0};
    const uint8_t *options = response + 4 + TOKEN_LENGTH;
    unsigned found;

    if (length < 4 + TOKEN_LENGTH || response[0] >> 6 != 1) {
        stats.malformed++;
        return NULL;
    }
    found = find_exchange(endpoint, response);
    if (found == NO_EXCHANGE) {
        stats.unexpected++; /* the late response to something that was retransmitted */
        return NULL;
    }
    exchange = endpoint->exchanges + found;
    if (!is_valid(exchange, response, length) ||
        (args.body && response[1] == CONTENT &&
         !parse_block(options, response + length, exchange->received, (size_t)args.body, &block))) {
        stats.malformed++;
        return NULL;
    }
    if (!args.duplicate) {
        endpoint->by_mid[exchange->mid] = NO_EXCHANGE;
    }
    *done = !(block.option & MORE);
    if (!*done) {
        exchange->received += block.length;
        exchange->request.length = template.length;
        exchange->request.last_option = template.last_option;
        add_uint(&exchange->request, BLOCK2, ((block.option >> 4) + 1) << 4 | (block.option & 7));
        set_ids(endpoint, exchange);
    } else if (stats.measuring) {
        count_response(now - exchange->first_us, response[1], length);
        stats.bad_codes +=
            !args.echo && (args.expect ? response[1] != args.expect : response[1] >> 5 != 2);
    }
    return exchange;
}

static void receive_responses(struct endpoint *endpoint) {
    struct mmsghdr messages[MAX_WINDOW] = {0};
    struct iovec parts[MAX_WINDOW];
    struct exchange *next[MAX_WINDOW];
    unsigned count = 0;
    int64_t now;
    long n;

    for (int i = 0; i < args.window; i++) {
        parts[i] = (struct iovec){incoming[i], sizeof incoming[i]};
        messages[i].msg_hdr.msg_iov = parts + i;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    n = checked(recvmmsg(endpoint->fd, messages, (unsigned)args.window, MSG_DONTWAIT, NULL));
    now = now_us();
    for (int i = 0; i < n; i++) {
        int done = 0;
        struct exchange *exchange =
            handle_response(endpoint, incoming[i], messages[i].msg_len, now, &done);

        if (exchange && (!done || start_exchange(endpoint, exchange, now))) {
            next[count++] = exchange;
        }
    }
    send_requests(endpoint, next, count, now);
}

static void retransmit(struct endpoint *endpoint, int64_t now) {
    for (int i = 0; i < args.window; i++) {
        struct exchange *exchange = endpoint->exchanges + i;

        if (now - exchange->sent_us < args.retransmit_ms * 1000) {
            continue;
        }
        stats.retransmitted++;
        if (exchange->tries == MAX_TRIES) {
            stats.given_up++;
            endpoint->by_mid[exchange->mid] = args.duplicate ? 0 : NO_EXCHANGE;
            if (!start_exchange(endpoint, exchange, now)) {
                continue;
            }
        }
        send_requests(endpoint, &exchange, 1, now);
    }
}

/* ---- the run ---- */

/* Open the sockets and send the first requests; returns the epoll descriptor. */
static int open_endpoints(void) {
    int poller = epoll_create1(0);

    endpoints = calloc((size_t)args.sockets, sizeof *endpoints);
    srand((unsigned)now_us());
    for (int i = 0; i < args.sockets; i++) {
        struct endpoint *endpoint = endpoints + i;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = endpoint};

        endpoint->fd = open_socket();
        if (epoll_ctl(poller, EPOLL_CTL_ADD, endpoint->fd, &event)) {
            die("epoll", strerror(errno));
        }
        endpoint->next_mid = (uint16_t)rand();
        endpoint->next_token = (uint32_t)rand();
        memset(endpoint->by_mid, NO_EXCHANGE, sizeof endpoint->by_mid);
        for (int k = 0; k < args.window; k++) {
            endpoint->exchanges[k].request = template;
            endpoint->exchanges[k].mid = endpoint->next_mid;
            endpoint->by_mid[endpoint->next_mid] = args.duplicate ? 0 : NO_EXCHANGE;
        }
    }
    return poller;
}

static void send_first_requests(void) {
    for (int i = 0; i < args.sockets; i++) {
        struct exchange *first[MAX_WINDOW];
        unsigned count = 0;

        for (int k = 0; k < args.window; k++) {
            if (start_exchange(endpoints + i, endpoints[i].exchanges + k, stats.start_us)) {
                first[count++] = endpoints[i].exchanges + k;
            }
        }
        send_requests(endpoints + i, first, count, stats.start_us);
    }
}

/* Returns the time at which the measurement ended. */
static int64_t run(int poller) {
    struct epoll_event ready[MAX_SOCKETS];
    int64_t now, looked_us;

    start_clock();
    looked_us = stats.start_us;
    send_first_requests();
    do {
        int n = epoll_wait(poller, ready, MAX_SOCKETS, 10);

        for (int i = 0; i < n; i++) {
            receive_responses(ready[i].data.ptr);
        }
        now = now_us();
        warmup_ends(now);
        if (stats.measuring && !stats.requests && now - stats.start_us >= FIRST_RESPONSE_US) {
            break;
        }
        if (now - looked_us >= 10000) {
            looked_us = now;
            for (int i = 0; i < args.sockets; i++) {
                retransmit(endpoints + i, now);
            }
        }
    } while (!is_done(now, stats.requests + stats.given_up));
    if (!stats.requests) {
        die("no valid answer", "a server is there; check --path and --echo");
    }
    return now;
}

int main(int argc, char **argv) {
    int reused = 0; /* a Message ID within its lifetime: a server may take it for a duplicate */
    int64_t end_us;

    parse_arguments(argc, argv);
    pin_to_cpu();
    build_template();
    end_us = run(open_endpoints());
    for (int i = 0; i < args.sockets; i++) {
        reused |= endpoints[i].sent > 65536;
    }
    print_report(end_us, reused && !args.duplicate);
    return 0;
}

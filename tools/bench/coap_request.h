/* Encoding of CoAP requests (RFC 7252 section 3). A load client encodes one template and writes
 * Message ID and token into copies of it. */

#ifndef MOTE_BENCH_COAP_REQUEST_H
#define MOTE_BENCH_COAP_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "load_args.h"

enum { MAX_DATAGRAM = 1500, TOKEN_LENGTH = 4 };
enum { OBSERVE = 6, URI_PATH = 11, CONTENT_FORMAT = 12, URI_QUERY = 15, ACCEPT = 17, BLOCK2 = 23 };
enum { GET = 1, PUT = 3, CONTENT = 0x45 };
enum { CON, NON, ACK };

struct request {
    uint8_t bytes[MAX_DATAGRAM];
    size_t length;
    unsigned last_option;
};

static int type_of(const uint8_t *message) { return message[0] >> 4 & 3; }

/* Encode an option delta or length: return the nibble, and write up to two bytes more. */
static unsigned encode_nibble(unsigned value, uint8_t *extended, size_t *extended_length) {
    if (value < 13) {
        *extended_length = 0;
        return value;
    }
    if (value < 269) {
        extended[0] = (uint8_t)(value - 13);
        *extended_length = 1;
        return 13;
    }
    extended[0] = (uint8_t)((value - 269) >> 8);
    extended[1] = (uint8_t)(value - 269);
    *extended_length = 2;
    return 14;
}

static void add_bytes(struct request *request, const void *bytes, size_t length) {
    if (request->length + length > MAX_DATAGRAM) {
        die("request", "longer than a datagram of 1500 bytes; shorten path or payload");
    }
    memcpy(request->bytes + request->length, bytes, length);
    request->length += length;
}

/* Append an option; option numbers ascend. */
static void add_option(struct request *request, unsigned number, const void *value, size_t length) {
    uint8_t delta_more[2], length_more[2], first;
    size_t delta_bytes, length_bytes;
    unsigned delta = encode_nibble(number - request->last_option, delta_more, &delta_bytes);

    first = (uint8_t)(delta << 4 | encode_nibble((unsigned)length, length_more, &length_bytes));
    request->last_option = number;
    add_bytes(request, &first, 1);
    add_bytes(request, delta_more, delta_bytes);
    add_bytes(request, length_more, length_bytes);
    add_bytes(request, value, length);
}

static void add_uint(struct request *request, unsigned number, unsigned value) {
    uint8_t bytes[3] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    size_t length = value > 0xffff ? 3 : value > 0xff ? 2 : value > 0;

    add_option(request, number, bytes + 3 - length, length);
}

/* Append each part between separators as an option of its own: a path or a query. */
static void add_parts(struct request *request, unsigned number, const char *text, char separator) {
    while (*text) {
        const char *end = strchr(text, separator);
        size_t length = end ? (size_t)(end - text) : strlen(text);

        add_option(request, number, text, length);
        text += length + (end != NULL);
    }
}

/* Begin a CON request with Message ID 0. */
static void begin_request(struct request *request, int method, const void *token) {
    uint8_t header[4] = {0x40 | TOKEN_LENGTH, (uint8_t)method, 0, 0};

    request->length = request->last_option = 0;
    add_bytes(request, header, sizeof header);
    add_bytes(request, token, TOKEN_LENGTH);
}

static inline void set_mid(uint8_t *message, uint16_t mid) {
    message[2] = (uint8_t)(mid >> 8);
    message[3] = (uint8_t)mid;
}

#endif

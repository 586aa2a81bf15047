/* One CoAP request template (RFC 7252 section 3), encoded once; the load client stamps
 * Message ID and token into copies of it. */

#ifndef MOTE_BENCH_REQUEST_H
#define MOTE_BENCH_REQUEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MAX_DATAGRAM = 1500, URI_PATH = 11, CONTENT_FORMAT = 12, URI_QUERY = 15, ACCEPT = 17 };

struct request {
    uint8_t bytes[MAX_DATAGRAM];
    size_t length;
    unsigned last_option;
};

/* RFC 7252 section 3.1: a nibble and up to two more bytes for one delta or length. */
static unsigned nibble_of(unsigned value, uint8_t *extended, size_t *extended_length) {
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

/* Returns 0, or -1 when the datagram would grow too long. Options come in ascending order. */
static int add_bytes(struct request *request, const void *bytes, size_t length) {
    if (request->length + length > MAX_DATAGRAM) {
        return -1;
    }
    memcpy(request->bytes + request->length, bytes, length);
    request->length += length;
    return 0;
}

static int add_option(struct request *request, unsigned number, const void *value, size_t length) {
    uint8_t delta_more[2], length_more[2], first;
    size_t delta_bytes, length_bytes;
    unsigned delta = nibble_of(number - request->last_option, delta_more, &delta_bytes);

    first = (uint8_t)(delta << 4 | nibble_of((unsigned)length, length_more, &length_bytes));
    request->last_option = number;
    if (add_bytes(request, &first, 1) || add_bytes(request, delta_more, delta_bytes)) {
        return -1;
    }
    if (add_bytes(request, length_more, length_bytes) || add_bytes(request, value, length)) {
        return -1;
    }
    return 0;
}

static int add_uint(struct request *request, unsigned number, unsigned value) {
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    size_t length = value > 255 ? 2 : value > 0 ? 1 : 0;

    return add_option(request, number, bytes + 2 - length, length);
}

/* Every part between separators as an option of its own: a path or a query. */
static int add_parts(struct request *request, unsigned number, const char *text, char separator) {
    while (*text) {
        const char *end = strchr(text, separator);
        size_t length = end ? (size_t)(end - text) : strlen(text);

        if (add_option(request, number, text, length)) {
            return -1;
        }
        text += length + (end != NULL);
    }
    return 0;
}

#endif

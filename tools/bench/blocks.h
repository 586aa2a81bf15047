/* Block-wise bodies (RFC 7959): which block a response carries, and whether it is the right one.
 * Byte i of every body is 'a' + i % 23, so that a block at a wrong place is noticed: 23 divides no
 * block size. */

#ifndef MOTE_BENCH_BLOCKS_H
#define MOTE_BENCH_BLOCKS_H

#include "coap_request.h"

enum { BODY_PERIOD = 23, MORE = 8 };

struct block {
    unsigned option; /* value of Block2: num << 4 | more << 3 | szx */
    const uint8_t *payload;
    size_t length;
};

/* Decode an option delta or length. Returns -1 past the end or for the reserved 15. */
static int decode_nibble(const uint8_t **at, const uint8_t *end, unsigned nibble) {
    int value = (int)nibble;

    if (nibble == 13 && end - *at >= 1) {
        value = 13 + (*at)[0];
        *at += 1;
    } else if (nibble == 14 && end - *at >= 2) {
        value = 269 + ((*at)[0] << 8 | (*at)[1]);
        *at += 2;
    } else if (nibble > 12) {
        value = -1;
    }
    return value;
}

/* Find the value of a uint option, and the payload, behind a response's token. Returns 0 when the
 * options are malformed; *value stays as it is when the option is absent. */
static int find_option(unsigned wanted, const uint8_t *at, const uint8_t *end, unsigned *value,
                       const uint8_t **payload) {
    int number = 0;

    *payload = end;
    while (at < end) {
        unsigned first = *at++;
        int delta, length;

        if (first == 0xff) {
            *payload = at;
            return at < end;
        }
        delta = decode_nibble(&at, end, first >> 4);
        length = decode_nibble(&at, end, first & 15);
        if (delta < 0 || length < 0 || end - at < length) {
            return 0;
        }
        number += delta;
        if (number == (int)wanted && length <= 3) {
            *value = 0;
            for (int i = 0; i < length; i++) {
                *value = *value << 8 | at[i];
            }
        }
        at += length;
    }
    return 1;
}

/* Parse a response's block; a response without Block2 is a whole body. Returns 0 when it is not the
 * block that begins at byte `received` of a body of `size` bytes, right to the byte. */
static inline int parse_block(const uint8_t *options, const uint8_t *end, size_t received,
                              size_t size, struct block *block) {
    static uint8_t pattern[MAX_BODY + BODY_PERIOD];
    size_t block_size;

    block->option = 6;
    if (!find_option(BLOCK2, options, end, &block->option, &block->payload)) {
        return 0;
    }
    block->length = (size_t)(end - block->payload);
    block_size = (size_t)16 << (block->option & 7);
    for (size_t i = 0; !pattern[sizeof pattern - 1] && i < sizeof pattern; i++) {
        pattern[i] = (uint8_t)('a' + i % BODY_PERIOD);
    }
    if ((block->option >> 4) * block_size != received || received + block->length > size ||
        (block->option & MORE ? block->length != block_size : received + block->length != size)) {
        return 0;
    }
    return !memcmp(block->payload, pattern + received, block->length);
}

#endif

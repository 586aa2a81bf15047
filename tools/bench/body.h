/* A body that comes in blocks (RFC 7959): which part of it an answer is, and the option that asks
 * for the next one. Byte i of every body is 'a' + i % 23, so that a block that lies in the wrong
 * place is noticed: 23 divides no block size. */

#ifndef MOTE_BENCH_BODY_H
#define MOTE_BENCH_BODY_H

#include "request.h"

enum { BLOCK2 = 23, MAX_BODY = 65536, BODY_PERIOD = 23, MAX_BLOCK_OPTION = 8, MORE = 8 };

struct part {
    unsigned block; /* value of Block2: num << 4 | more << 3 | szx */
    const uint8_t *payload;
    size_t length;
};

/* RFC 7252 section 3.1, the other way round. Returns -1 past the end or for the reserved 15. */
static int extended(const uint8_t **at, const uint8_t *end, unsigned nibble) {
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

/* The value of a uint option and the payload of an answer whose options begin at `at`. Returns 0
 * when the options are malformed; *value stays as it is when the option is absent. */
static int look_for(unsigned wanted, const uint8_t *at, const uint8_t *end, unsigned *value,
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
        delta = extended(&at, end, first >> 4);
        length = extended(&at, end, first & 15);
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

/* Take an answer apart; an answer without Block2 is a whole body. */
static inline int part_of(const uint8_t *answer, size_t length, unsigned token_length,
                   struct part *part) {
    part->block = 6;
    if (!look_for(BLOCK2, answer + 4 + token_length, answer + length, &part->block,
                  &part->payload)) {
        return 0;
    }
    part->length = (size_t)(answer + length - part->payload);
    return 1;
}

/* Is it the part that begins at byte `got` of a body of `whole` bytes, and right to the byte? */
static inline int fits(const struct part *part, size_t got, size_t whole) {
    static uint8_t pattern[MAX_BODY + BODY_PERIOD];
    size_t size = (size_t)16 << (part->block & 7);

    if (!pattern[0]) {
        for (size_t i = 0; i < sizeof pattern; i++) {
            pattern[i] = (uint8_t)('a' + i % BODY_PERIOD);
        }
    }
    if ((part->block >> 4) * size != got || got + part->length > whole) {
        return 0;
    }
    if (part->block & MORE ? part->length != size : got + part->length != whole) {
        return 0;
    }
    return !memcmp(part->payload, pattern + got, part->length);
}

/* Write the option that asks for the block after `part`; returns its length. */
static inline size_t add_next(uint8_t *at, unsigned last_option, const struct part *part) {
    unsigned value = ((part->block >> 4) + 1) << 4 | (part->block & 7);
    size_t length = value > 0xffff ? 3 : value > 0xff ? 2 : 1, more;
    unsigned delta = nibble_of(BLOCK2 - last_option, at + 1, &more);

    at[0] = (uint8_t)(delta << 4 | length);
    at += 1 + more;
    for (size_t i = 0; i < length; i++) {
        at[i] = (uint8_t)(value >> 8 * (length - 1 - i));
    }
    return 1 + more + length;
}

#endif

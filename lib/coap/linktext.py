"""Links as text (RFC 6690): where one ends, and whether it matches; compiled to machine code."""

import micropython
from micropython import const

# Numbers of other files: the compiler folds only the constants of the file at hand
_VALUE = const(60)  # scan.VALUE
_LENGTH = const(61)  # scan.LENGTH


@micropython.viper
def links(link: ptr8, begin: int, n: int, query: ptr8, r: ptr32) -> int:
    """Does the link in link[begin:n] match the filter `name=value` that step() found in `query`?

    RFC 6690 section 4.1: `value*` matches a prefix, `name` alone any link that has the attribute;
    href is the target. Attributes with short names (rt, if, ct, rel) hold words, and match by any
    of them.
    """
    at = r[_VALUE]
    end = at + r[_LENGTH]
    if at == end:
        return 1
    equals = at
    while equals < end and query[equals] != 61:
        equals += 1
    first = equals + 1
    prefix = 0
    if equals == end:
        first = end
        prefix = 1
    elif end > first and query[end - 1] == 42:
        prefix = 1
        end -= 1
    i = begin + 2
    if equals - at == 4 and query[at] == 104 and query[at + 1] == 114:
        if query[at + 2] == 101 and query[at + 3] == 102:  # href
            i = begin + 1
            while first < end and link[i] != 62 and link[i] == query[first]:
                i += 1
                first += 1
            if first < end:
                return 0
            return 1 if prefix or link[i] == 62 else 0
    words = 1 if equals - at < 4 else 0
    while i < n and link[i] != 62:
        i += 1
    i += 1
    while i < n:
        # at the ";" before an attribute
        i += 1
        j = at
        while j < equals and i < n and link[i] == query[j]:
            i += 1
            j += 1
        found = 0
        if j == equals and (i == n or link[i] == 61 or link[i] == 59):
            found = 1
        while i < n and link[i] != 61 and link[i] != 59:
            i += 1
        start = found
        if i < n and link[i] == 61:
            i += 1
            stop = 59
            if i < n and link[i] == 34:
                stop = 34
                i += 1
            while i < n and link[i] != stop:
                if start:
                    k = i
                    j = first
                    while j < end and k < n and link[k] != stop:
                        if link[k] == 92 and stop == 34:
                            k += 1
                        if link[k] != query[j]:
                            break
                        k += 1
                        j += 1
                    if j == end:
                        if prefix or k == n or link[k] == stop or (words and link[k] == 32):
                            return 1
                start = 0
                if link[i] == 92 and stop == 34:
                    i += 1
                elif link[i] == 32 and words:
                    start = found
                i += 1
            if stop == 34:
                i += 1
        if start and first == end:
            return 1  # nothing is asked for, and nothing is there
    return 0


@micropython.viper
def link_end(text: ptr8, at: int, n: int) -> int:
    """Where the link that begins at text[at] ends: at the comma before the next one, or at n.

    The links have been written by coap.link: commas in targets and in quotes are theirs.
    """
    close = 0
    while at < n:
        byte = text[at]
        if close:
            if byte == 92 and close == 34:
                at += 1
            elif byte == close:
                close = 0
        elif byte == 44:
            return at
        elif byte == 60:
            close = 62
        elif byte == 34:
            close = 34
        at += 1
    return n

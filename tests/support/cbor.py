"""A strict CBOR decoder (RFC 8949) for what nodes send: only the shortest, definite forms."""


def decode_cbor(data):
    """Return the data item that `data` consists of. AssertionError: it is malformed."""
    value, end = _item(data, 0)
    assert end == len(data), data
    return value


def _item(data, at):
    major, n = data[at] >> 5, data[at] & 31
    at += 1
    if n > 23 and major != 7:
        assert n < 28, data
        size = 1 << (n - 24)
        n = int.from_bytes(data[at : at + size], "big")
        at += size
        assert n > (23 if size == 1 else (1 << 4 * size) - 1), "not the shortest form"
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major == 3:
        assert at + n <= len(data), data
        return data[at : at + n].decode(), at + n
    if major == 4:
        items = []
        for _ in range(n):
            item, at = _item(data, at)
            items.append(item)
        return items, at
    if major == 5:
        found = {}
        for _ in range(n):
            key, at = _item(data, at)
            found[key], at = _item(data, at)
        return found, at
    if major == 6:
        assert n == 4, "no tag but a decimal fraction"
        (exponent, mantissa), at = _item(data, at)
        return mantissa * 10**exponent, at
    assert major == 7 and n in (20, 21), data
    return n == 21, at

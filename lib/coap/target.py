"""What a request of ours is sent to: "path/to?query=1&other" as the options it becomes.

The text is that of a URI behind its first slash (RFC 7252 section 6.4), so `%2F` is a slash
inside a segment, and a slash at the end stands for an empty segment.
"""

from micropython import const

# Numbers of other files: the compiler folds only the constants of the file at hand
_URI_PATH = const(11)  # numbers.URI_PATH
_URI_QUERY = const(15)  # numbers.URI_QUERY

_HEX = b"0123456789abcdef"


def options(path):
    """The options of a path and query (str or bytes) as a tuple: number, bytes, number, ...

    Raises ValueError for what is no such text.
    """
    text = path.encode() if isinstance(path, str) else bytes(path)
    if text.startswith(b"/"):
        raise ValueError("a path begins without a slash: write " + str(text[1:], "utf-8"))
    at = text.find(b"?")
    found = []
    if at:
        for segment in (text if at < 0 else text[:at]).split(b"/") if text else ():
            found += (_URI_PATH, _plain(segment))
    if at >= 0:
        for part in text[at + 1 :].split(b"&"):
            found += (_URI_QUERY, _plain(part))
    return tuple(found)


def text(segments, queries=()):
    """The path and query that options() takes, of a Location (RFC 7252 section 5.10.7)."""
    path = "/".join([_quoted(segment, b"/?%") for segment in segments])
    if queries:
        path += "?" + "&".join([_quoted(query, b"&%") for query in queries])
    return path


def with_option(options, number, value):
    """The tuple with one option more, behind those of the same number."""
    at = 0
    while at < len(options) and options[at] <= number:
        at += 2
    return options[:at] + (number, value) + options[at:]


def _plain(part):
    pieces = part.split(b"%")
    out = pieces[0]
    for piece in pieces[1:]:
        high, low = _HEX.find(piece[:1].lower()), _HEX.find(piece[1:2].lower())
        if len(piece) < 2 or high < 0 or low < 0:
            raise ValueError("a % in a path is written %25")
        out += bytes((high << 4 | low,)) + piece[2:]
    if len(out) > 255:
        raise ValueError("a path segment or query has at most 255 bytes")
    return out


def _quoted(part, special):
    return "".join([chr(c) if 32 < c < 127 and c not in special else "%%%02X" % c for c in part])

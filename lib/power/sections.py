"""Several short pieces of state as one image: two bytes of length, and the piece."""


def join(*parts):
    """One image. Raises ValueError for a part of 64 KB or more."""
    image = b""
    for part in parts:
        n = len(part)
        if n > 0xFFFF:
            raise ValueError("a part has less than 64 KB")
        image += bytes((n >> 8, n & 255)) + part
    return image


def split(image, count):
    """The parts of an image that has `count` of them, None for any other."""
    parts = []
    at = 0
    while at + 2 <= len(image):
        n = image[at] << 8 | image[at + 1]
        parts.append(bytes(image[at + 2 : at + 2 + n]))
        at += 2 + n
    return parts if at == len(image) and len(parts) == count else None

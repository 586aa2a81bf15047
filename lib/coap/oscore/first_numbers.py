"""The content of flash for keys that were never used: for what makes keys, no node imports it."""

from coap.oscore.sequence_numbers import (
    _FLASH,
    _NUMBER_BYTES,
    NEVER_USED,
    UNKNOWN,
    _parse,
    _with_digest,
)


def first_numbers(contexts, stored=None):
    """Return the content of flash with contexts that were never used.

    stored: the content before, bytes, whose other contexts stay.
    """
    limits = _parse(stored, _FLASH, _NUMBER_BYTES) or {}
    for context in contexts:
        limits[context.fingerprint] = NEVER_USED
    return _with_digest(_FLASH + b"".join([one + limits[one] for one in limits]))


def limit_of(stored, context):
    """Return the limit of a context in the content of flash, as bytes; None if there is none."""
    limits = _parse(stored, _FLASH, _NUMBER_BYTES) or {}
    return limits.get(context.fingerprint, limits.get(UNKNOWN))

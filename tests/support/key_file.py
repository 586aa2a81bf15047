"""Files of keys with their first sequence numbers, as `make provision` leaves them on a board."""

import json
import os

import credentials
from coap.oscore.first_numbers import first_numbers


def write_keys(path, entries):
    """Write keys that were never used, a dict or a list of dicts, and their first numbers."""
    with open(path, "w") as file:
        json.dump(entries, file)
    contexts = credentials.make_contexts(credentials.load(path))
    credentials.Numbers(path + credentials.NUMBERS).save(first_numbers(contexts))


def remove_keys(path):
    """Remove the files of keys."""
    for name in (path, path + credentials.NUMBERS, path + credentials.NUMBERS + ".new"):
        try:
            os.remove(name)
        except OSError:
            pass

"""Runs before main.py: modules on the filesystem are found before those frozen into the firmware.

By default a firmware image with Mote inside would hide what `make deploy` puts into /lib.
"""

import sys

for folder in ("/lib", ""):
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)

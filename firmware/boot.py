"""Runs before main.py: modules on the filesystem take precedence over frozen ones.

By default a firmware image with Mote inside would hide the files that `make deploy` puts on it.
"""

import sys

for folder in ("/lib", ""):
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)

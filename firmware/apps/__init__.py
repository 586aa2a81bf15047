"""Applications: what a node measures, as CoAP resources. Each has a `setup()`."""

VERSION = "0.1.0"  # of the firmware, as /dev tells it

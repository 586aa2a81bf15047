"""Applications: the CoAP resources of a node. Each has a setup()."""

VERSION = "0.2.0"  # of the firmware, shown in /dev

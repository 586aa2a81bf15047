"""Runs under the interpreter that is fuzzed: python forged.py SEED COUNT"""

import sys

from support.forged_messages import main

main(sys.argv)

"""Runs under the interpreter that is fuzzed: python forged.py SEED COUNT"""

import sys

from forging import main

main(sys.argv)

"""Runs under the interpreter that is fuzzed: python target.py SEED COUNT"""

import sys

from support.fuzzing import main

main(int(sys.argv[1]), int(sys.argv[2]))

"""Frozen into a firmware image for this board; ../manifest.py says how to build one."""

include("../manifest.py")
module("board.py", opt=3)

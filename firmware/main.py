"""What the board runs after boot.py: the node, until Ctrl-C."""

import startup

startup.main()

"""Run a command with the words of an environment variable as its last arguments.

    ARGS="-k 'one or other'" python3 append_words.py ARGS python3 -m pytest

Quotes group words as in a shell, and nothing else of a shell happens: no expansion, no command.
"""

import os
import shlex
import sys


def main(variable, *command):
    """Replace this process by the command. Exit with code 2 if the words cannot be split."""
    try:
        words = shlex.split(os.environ.get(variable, ""))
    except ValueError as error:
        print(f"{variable}: {error}: quote each argument completely", file=sys.stderr)
        raise SystemExit(2) from None
    os.execvp(command[0], [*command, *words])


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Write boards/*/wiring.svg and the tables of boards/README.md: `make wiring`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from host.device import BOARDS, main
from wiring import drawing, tables
from wiring.headers import HEADERS


def files():
    """Return {path: text} of what follows from the board.py files."""
    boards = [(header, drawing.load(name)) for name, header in HEADERS.items()]
    found = {
        BOARDS / name / "wiring.svg": drawing.draw(board, header)
        for name, (header, board) in zip(HEADERS, boards, strict=True)
    }
    return {**found, tables.README: tables.readme(boards)}


def work(_argv):
    """Write the files."""
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main(work)

"""All of what `make deploy` copies, run from files: it fits into the heap of an RP2040."""

from pathlib import PurePosixPath

import pytest
from pico_client import LINK_LIMIT_MS, PicoClient

from emulator import run
from host import deploy, device

pytestmark = pytest.mark.emulated
PIECE_BYTES = 1024
LEAST_HEAP_BYTES = 32 * 1024  # in use are 170 KB, with both applications
FREE = "import gc; gc.collect(); print(gc.mem_free())"
FOUND = "import coap.node, sys; print(sys.modules['startup'].__file__, coap.node.__file__)"


def test_both_applications_run_from_files(make_pico, tmp_path):
    board = device.find_board("PICO_EMU")
    files = deploy.lay_out(board, tmp_path)
    pico = make_pico()
    run.Wiring(pico)
    pico.power()
    _copy(pico.repl(), tmp_path, files)
    pico.console.read()
    pico.link_up = False
    pico.reset()
    assert pico.run_until(lambda: pico.link_up, LINK_LIMIT_MS), pico.console.read()
    with PicoClient(pico) as client:
        client.wait_for("/s/contact", b"closed")
        client.wait_for("/s/temp", b"36.60")
    python = pico.repl()
    assert python.exec(FOUND) == "startup.mpy /lib/coap/node.mpy\n"
    free_bytes = int(python.exec(FREE))
    print(f"{free_bytes:,} bytes of heap free")
    assert free_bytes >= LEAST_HEAP_BYTES


def _copy(python, folder, files):
    """As mpremote does, but in the Pico's time: over a cable it takes minutes."""
    python.exec("import os")
    folders = {parent for path in files for parent in PurePosixPath(path).parents}
    for path in sorted(folders - {PurePosixPath(".")}):
        python.exec(f"os.mkdir('{path}')")
    for path in files:
        data = (folder / path).read_bytes()
        python.exec(f"f = open('{path}', 'wb')")
        for at in range(0, len(data), PIECE_BYTES):
            python.exec(f"f.write({data[at : at + PIECE_BYTES]!r})")
        python.exec("f.close()")

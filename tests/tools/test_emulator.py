"""tools/emulator without a firmware: time, pins, the pipe, the PPP peer, what is missing."""

import json
import os
import signal
import struct
import subprocess
import sys
import time

import pytest
from running import ends

from emulator import dependencies
from emulator.pico import Pico
from setup.console import ROOT, Problem

HOST = "127.0.0.1"
FOR_EVER = struct.pack("<H", 0xE7FE)  # Thumb: b .
SLEEP = struct.pack("<HH", 0xBF30, 0xE7FD)  # wfi; b to it
PEER = """
import { Peer } from './tools/emulator/ppp.mjs'
import readline from 'node:readline'
let out = []
let log = []
const peer = new Peer({ guest: [10, 0, 0, 2], host: [10, 0, 0, 1],
  write: (bytes) => out.push(bytes.toString("hex")),
  onPacket: (bytes) => log.push(bytes.toString('hex')),
  onUp: () => log.push('up'), onDown: () => log.push('down') })
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  peer.input(Buffer.from(line, 'hex'))
  console.log(JSON.stringify({ out, log, counters: peer.counters }))
  out = []; log = []
})
"""
LCP, IPCP, IPV6CP, IPV4 = 0xC021, 0x8021, 0x8057, 0x0021


def image(tmp_path, program):
    path = tmp_path / "program.bin"
    path.write_bytes(program)
    return path


# Time


def test_virtual_time_moves_only_when_told(tmp_path):
    with Pico(image(tmp_path, SLEEP)) as pico:
        assert pico.now_ms == 0
        pico.power()
        assert (pico.now_ms, pico.boots) == (0, ["power"])
        before = time.monotonic()
        pico.run_ms(3_600_000)
        assert pico.now_ms == pytest.approx(3_600_000, abs=0.1)
        assert time.monotonic() - before < 360  # an hour of sleep


def test_a_busy_program_takes_its_time_too(tmp_path):
    with Pico(image(tmp_path, FOR_EVER)) as pico:
        pico.power()
        pico.run_ms(3)
        assert 3 <= pico.now_ms < 3.2


def test_real_time_goes_with_the_clock(tmp_path):
    with Pico(image(tmp_path, SLEEP), realtime=True) as pico:
        began = time.monotonic()
        pico.power()
        before, waited = pico.now_ms, time.monotonic()
        pico.run_ms(300)
        assert time.monotonic() - waited >= 0.299
        now_ms = pico.now_ms
        assert now_ms - before <= (time.monotonic() - began) * 1000 + 150


def test_time_passes_without_power(tmp_path):
    with Pico(image(tmp_path, SLEEP)) as pico:
        pico.power()
        pico.run_ms(10)
        pico.power(False)
        pico.run_ms(20)
        pico.power()
        assert pico.now_ms == pytest.approx(30, abs=0.1)
        assert pico.boots == ["power", "power"]
        pico.reset()
        assert pico.run_until(lambda: len(pico.boots) == 3, 10)
        assert pico.boots[-1] == "button"


def test_a_condition_that_never_comes_ends_at_its_limit(tmp_path):
    with Pico(image(tmp_path, SLEEP)) as pico:
        pico.power()
        assert not pico.run_until(lambda: False, 50)
        with pytest.raises(TimeoutError, match="no b'boot' from the console in 20 ms"):
            pico.console.read_until(b"boot", 20)


# Mistakes and ends


def test_an_unwired_pin_and_a_wrong_one(tmp_path):
    with Pico(image(tmp_path, SLEEP)) as pico:
        pico.power()
        pico.pin(14, 1)
        assert pico.pin_state(14) == 1
        pico.pin(14, 0)
        assert pico.pin_state(14) == 0
        with pytest.raises(Problem, match="no GPIO 30"):
            pico.pin(30, 1)
        with pytest.raises(Problem, match="GPIO 14 has no ADC"):
            pico.adc(14, 1000)


def test_no_firmware_names_the_fix(tmp_path):
    with pytest.raises(Problem, match="run `make firmware BOARD=PICO_EMU`"):
        Pico(tmp_path / "none.uf2")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (bytes(3 * 1024 * 1024), "does not fit into the flash memory"),
        (struct.pack("<I", 0x0A324655) + bytes(508), "is a broken UF2 file"),
    ],
)
def test_an_image_that_is_none_is_a_problem(tmp_path, content, why):
    with pytest.raises(Problem, match=why):
        Pico(image(tmp_path, content))


def test_an_emulator_that_dies_is_a_problem(tmp_path):
    with Pico(image(tmp_path, SLEEP)) as pico:
        os.kill(pico.pid, signal.SIGKILL)
        with pytest.raises(Problem, match="the emulated Pico has ended: exit code -9"):
            for _ in range(1000):
                pico.run_ms(1)
                time.sleep(0.02)


def test_the_emulator_dies_with_whoever_started_it(tmp_path):
    program = (
        "import os, signal, sys; sys.path.insert(0, 'tools'); from emulator.pico import Pico; "
        f"pico = Pico({str(image(tmp_path, FOR_EVER))!r}, realtime=True); pico.power(); "
        "print(pico.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert ends(int(done.stdout))


def test_one_that_is_stuck_dies_too(tmp_path):
    stuck = "import('./tools/emulator/parent_watch.mjs').then((watch) => { watch.endWithParent(); "
    stuck += "setTimeout(() => { for (;;); }, 300); console.log(process.pid) })"
    program = (
        "import os, signal, subprocess, sys, time; "
        f"child = subprocess.Popen([{dependencies.node()!r}, '-e', {stuck!r}]); "
        "time.sleep(2); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ends(int(done.stdout))


def test_a_hung_emulator_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("emulator.pico.RESULT_LIMIT_S", 1)
    with Pico(image(tmp_path, SLEEP)) as pico:
        pico.power()
        os.kill(pico.pid, signal.SIGSTOP)
        with pytest.raises(Problem, match="it hung: no result of 'run' within 1.1 s"):
            pico.run_ms(1)


# The PPP peer. The check sequence here is bit by bit, as RFC 1662 appendix C defines it.


def check_sequence(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x8408 if value & 1 else value >> 1
    return value ^ 0xFFFF


def framed(protocol, payload):
    body = struct.pack(">BBH", 0xFF, 3, protocol) + payload
    body += struct.pack("<H", check_sequence(body))
    escaped = b"".join(
        bytes((0x7D, byte ^ 0x20)) if byte < 0x20 or byte in (0x7D, 0x7E) else bytes((byte,))
        for byte in body
    )
    return b"\x7e" + escaped + b"\x7e"


def unframed(line):
    assert line[0] == line[-1] == 0x7E
    body, escape = bytearray(), 0
    for byte in line[1:-1]:
        if byte == 0x7D:
            escape = 0x20
        else:
            body.append(byte ^ escape)
            escape = 0
    assert check_sequence(body[:-2]) == struct.unpack("<H", body[-2:])[0]
    return struct.unpack(">H", body[2:4])[0], bytes(body[4:-2])


def control(code, identifier, data=b""):
    return struct.pack(">BBH", code, identifier, 4 + len(data)) + data


class PeerProcess:
    def __init__(self):
        self.process = subprocess.Popen(
            [dependencies.node(), "--input-type=module", "-e", PEER],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def input(self, data):
        """(frames that came back, log, counters)"""
        self.process.stdin.write(data.hex() + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        frames = [unframed(bytes.fromhex(line)) for line in said["out"]]
        return frames, said["log"], said["counters"]

    def bring_up(self):
        frames, _, _ = self.input(framed(LCP, control(1, 1, b"\x02\x06\0\0\0\0")))
        self.input(framed(LCP, control(2, frames[-1][1][1])))
        frames, _, _ = self.input(framed(IPCP, control(1, 2, b"\x03\x06\x0a\0\0\x02")))
        return self.input(framed(IPCP, control(2, frames[-1][1][1])))


@pytest.fixture
def peer():
    process = PeerProcess()
    yield process
    process.process.stdin.close()
    process.process.wait(60)
    process.process.stdout.close()


def test_the_check_sequence_of_the_tests_is_the_published_one():
    assert check_sequence(b"123456789") == 0x906E


def test_the_peer_negotiates_a_link(peer):
    frames, log, _ = peer.input(framed(LCP, control(1, 7, b"\x07\x02\x02\x06\0\0\0\0")))
    assert frames[0] == (LCP, control(4, 7, b"\x07\x02"))  # no compression: rejected
    frames, _, _ = peer.input(framed(LCP, control(1, 8, b"\x02\x06\0\0\0\0")))
    assert frames[0] == (LCP, control(2, 8, b"\x02\x06\0\0\0\0"))
    peer.input(framed(LCP, control(2, frames[1][1][1])))
    frames, _, _ = peer.input(framed(IPCP, control(1, 9, b"\x03\x06\0\0\0\0")))
    assert frames[0] == (IPCP, control(3, 9, b"\x03\x06\x0a\0\0\x02"))  # "your address is"
    frames, _, _ = peer.input(framed(IPCP, control(1, 10, b"\x03\x06\x0a\0\0\x02")))
    assert frames[0] == (IPCP, control(2, 10, b"\x03\x06\x0a\0\0\x02"))
    _, log, _ = peer.input(framed(IPCP, control(2, frames[1][1][1])))
    assert log == ["up"]


def test_the_peer_answers_echoes_and_rejects_what_it_has_not(peer):
    assert peer.bring_up()[1] == ["up"]
    frames, _, _ = peer.input(framed(LCP, control(9, 3, b"\1\2\3\4data")))
    assert frames == [(LCP, control(10, 3, b"\0\0\0\0data"))]
    frames, _, counters = peer.input(framed(IPV6CP, control(1, 1)))
    assert frames[0][0] == LCP and frames[0][1][0] == 8  # Protocol-Reject
    assert frames[0][1][4:] == b"\x80\x57" + control(1, 1)
    assert counters["rejected"] == 1
    frames, _, _ = peer.input(framed(LCP, control(77, 1)))
    assert frames[0][1][0] == 7  # Code-Reject


def test_the_peer_ends_the_link_when_told(peer):
    peer.bring_up()
    frames, log, _ = peer.input(framed(LCP, control(5, 4)))
    assert (frames, log) == ([(LCP, control(6, 4))], ["down"])
    _, log, counters = peer.input(framed(IPV4, b"E" + bytes(30)))
    assert (log, counters["unexpected"]) == ([], 1)
    assert peer.bring_up()[1] == ["up"]


@pytest.mark.parametrize(
    "line",
    [
        framed(IPV4, b"E" + bytes(30))[:-3] + b"\x7e",  # cut off
        framed(IPV4, b"E" + bytes(30)).replace(b"E", b"F"),  # a changed byte
        b"\x7eabc\x7d\x7e",  # given up by its sender
        b"\x7e" + bytes([0x41] * 5000) + b"\x7e",
        framed(LCP, b"\x01\x01\x00\x09\x02"),  # shorter than it says
        framed(LCP, control(1, 1, b"\x02\x00")),  # an option without a length
        b"\x7ea\x7e",
    ],
)
def test_malformed_frames_are_counted_and_ignored(peer, line):
    peer.bring_up()
    frames, log, counters = peer.input(line)
    assert (frames, log) == ([], [])
    assert counters["malformed"] == 1
    frames, _, _ = peer.input(framed(LCP, control(9, 3, b"\1\2\3\4")))
    assert frames == [(LCP, control(10, 3, b"\0\0\0\0"))]

"""The emulated Pico under MicroPython: buses, pins, lines, sleep, resets, memory."""

import subprocess
from pathlib import Path

import pytest
from chips.lsm6dsox import Lsm6dsox
from chips.max30102 import Max30102
from chips.tmp117 import Tmp117

from emulator import dependencies

CORE_CHECK = Path(__file__).with_name("core_check.mjs")
STATES = 2  # of registers, flags and memory for each opcode
EVERY_BYTE = bytes(range(256))


def test_every_opcode_does_what_it_does_in_rp2040js_or_should():
    argv = [dependencies.node(), CORE_CHECK, str(STATES)]
    done = subprocess.run(argv, capture_output=True, text=True)
    last = f"{65536 * STATES} instructions, 0 differ\n"
    assert (done.returncode, done.stdout) == (0, last), done.stdout + done.stderr


@pytest.fixture
def repl(make_pico):
    """(Pico without PPP in virtual time, its raw REPL)"""
    pico = make_pico(ppp_uart=None)
    pico.power()
    return pico, pico.repl()


def test_sleep_takes_the_guest_s_time_and_random_numbers_are_random(repl):
    pico, python = repl
    before_ms = pico.now_ms
    python.exec("import time; time.sleep(10)", 20_000)
    assert 10_000 <= pico.now_ms - before_ms < 10_200
    numbers = python.exec("import os; print(os.urandom(4).hex()); print(os.urandom(4).hex())")
    assert len(set(numbers.split())) == 2
    assert python.exec("import machine; print(machine.unique_id().hex())").strip() == (
        "e6614c311b5c1e2d"
    )


def test_i2c_reads_the_models_and_nobody_at_other_addresses(repl):
    pico, python = repl
    for chip in (Tmp117(), Max30102(), Lsm6dsox()):
        pico.i2c(0, chip)
    python.exec("from machine import *; import time; i = I2C(0, sda=Pin(4), scl=Pin(5))")
    ids = "print([i.readfrom_mem(a, r, n).hex() for a, r, n in "
    ids += "((0x48, 15, 2), (0x6a, 15, 1), (0x57, 255, 1))])"
    assert python.exec(ids) == "['0117', '6c', '15']\n"
    assert python.exec("print([hex(a) for a in i.scan()])") == "['0x48', '0x57', '0x6a']\n"
    error = "try:\n i.{}\nexcept OSError as e:\n print(e.errno)"
    assert python.exec(error.format("readfrom_mem(0x20, 1, 2)")) == "5\n"
    assert python.exec(error.format("writeto_mem(0x20, 1, b'a')")) == "5\n"
    # A FIFO moves on by what was read, not by what was fetched ahead: 10 samples of 6 bytes.
    python.exec(
        "i.writeto_mem(0x57, 9, b'\\x03'); i.writeto_mem(0x57, 8, b'\\x10'); time.sleep_ms(210)"
    )
    fifo = "p = i.readfrom_mem(0x57, 4, 3); i.readfrom_mem(0x57, 7, 42); "
    fifo += "print(p[2], i.readfrom_mem(0x57, 6, 1)[0])"
    assert python.exec(fifo) == "0 7\n"


def test_pins_pulls_edges_and_voltages(repl):
    pico, python = repl
    python.exec(
        "from machine import *\nc = []\np = Pin(14, Pin.IN, Pin.PULL_UP)\n"
        "p.irq(lambda p: c.append(p.value()), Pin.IRQ_RISING | Pin.IRQ_FALLING)\n"
        "q = Pin(16, Pin.OUT, value=1)"
    )
    assert python.exec("print(p.value(), q.value())") == "1 1\n"
    pico.watch(16)
    for level in (0, 1, 0, None):
        pico.pin(14, level)
        pico.run_ms(5)
    assert python.exec("q(0); q(1); print(c)") == "[0, 1, 0, 1]\n"
    assert pico.outputs == [(16, 0), (16, 1)]
    pico.adc(26, 1650)
    assert abs(int(python.exec("print(ADC(26).read_u16())")) - 32768) < 20


def test_a_uart_carries_every_byte_both_ways(repl):
    pico, python = repl
    python.exec("from machine import *\nu = UART(0, 115200, tx=Pin(0), rx=Pin(1), rxbuf=512)")
    python.exec("u.write(bytes(range(256)))")
    pico.run_ms(50)
    assert pico.uart(0).read() == EVERY_BYTE
    pico.uart(0).write(EVERY_BYTE)
    pico.run_ms(50)
    assert python.exec("print(u.read() == bytes(range(256)))") == "True\n"


def test_reset_and_watchdog_restart_the_chip_and_keep_its_flash_memory(make_pico, tmp_path):
    flash = tmp_path / "flash.bin"
    pico = make_pico(flash=flash, ppp_uart=None)
    pico.power()
    cause = "import machine, time; print(machine.reset_cause())"
    assert pico.repl().exec(cause) == "1\n"
    python = pico.repl()
    python.exec("f = open('/note', 'w'); f.write('kept'); f.close()")
    python.start("machine.reset()")
    assert pico.run_until(lambda: pico.boots == ["power", "software"], 1000)
    python = pico.repl()
    assert python.exec(cause) == "3\n"
    before_ms = pico.now_ms
    python.start("machine.WDT(timeout=2000); time.sleep(60)")
    assert pico.run_until(lambda: pico.boots[2:] == ["watchdog"], 5000)
    assert 1900 < pico.now_ms - before_ms < 2300
    pico.reset()
    assert pico.repl().exec(cause) == "1\n"
    pico.close()
    pico = make_pico(flash=flash, ppp_uart=None)
    pico.power()
    assert pico.repl().exec("print(open('/note').read())") == "kept\n"

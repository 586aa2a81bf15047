"""An emulated Raspberry Pi Pico that runs real firmware, with the world around it in Python.

    from emulator.pico import Pico

    with Pico("build/firmware/PICO_EMU/firmware.uf2") as pico:
        pico.power()
        print(pico.repl().exec("print(6 * 7)"))

The chip, its clock and the PPP peer are JavaScript (rp2040js in Node.js, the .mjs files here); the
pins, sensors, terminals and tests are Python. One pipe of JSON lines joins them.

It has no radio, no second core and no machine.SoftI2C (scan() of the hardware's buses works), and
a flash memory that takes no time to write. While the chip works it has about half the speed of a
real one, while it is idle time is skipped.
"""

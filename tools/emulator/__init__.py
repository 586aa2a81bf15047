"""An emulated Raspberry Pi Pico that runs real firmware, with its surroundings in Python.

    from emulator.pico import Pico

    with Pico("build/firmware/PICO_EMU/firmware.uf2") as pico:
        pico.power()
        print(pico.repl().exec("print(6 * 7)"))

The chip, its clock and the PPP peer are JavaScript (rp2040js in Node.js, the .mjs files); the
sensors, terminals and tests are Python. Both exchange lines of JSON through pipes.

The Pico has no radio, no second core and no machine.SoftI2C (scan() of the hardware's buses
works), and writing to its flash memory takes no time. A busy chip runs at about half of its real
speed; the time of an idle one is skipped.
"""

"""An emulated Raspberry Pi Pico that runs real firmware, with the world around it in Python.

    from emulator.pico import Pico

    with Pico("build/firmware/PICO_EMU/firmware.uf2") as pico:
        pico.power()
        print(pico.repl().exec("print(6 * 7)"))

The chip, its clock and the PPP peer are JavaScript (rp2040js in Node.js, the .mjs files here); the
pins, sensors, terminals and tests are Python. One pipe of JSON lines joins them.
"""

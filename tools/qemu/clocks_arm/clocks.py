"""The clock of QEMU's mps2-an385, and a loop whose instructions are known."""

import micropython

COUNTER = 0x40028018  # FPGAIO: 25 MHz, 32 bits


@micropython.asm_thumb
def spin(r0):
    """Run r0 turns of two instructions each."""
    label(LOOP)
    sub(r0, 1)
    bne(LOOP)

"""The clock of QEMU's RISC-V board virt, and a loop whose instructions are known."""

import micropython

COUNTER = 0x0200BFF8  # CLINT, mtime: 10 MHz, its lower 32 bits


@micropython.asm_rv32
def spin(a0):
    """Run a0 turns of two instructions each."""
    label(LOOP)
    addi(a0, a0, -1)
    bne(a0, zero, LOOP)

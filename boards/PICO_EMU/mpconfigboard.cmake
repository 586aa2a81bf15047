# A Pico with an IP stack of its own: see mpconfigboard.h.
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
set(MICROPY_PY_LWIP 1)

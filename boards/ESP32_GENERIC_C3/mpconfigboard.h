#include "boards/ESP32_GENERIC_C3/mpconfigboard.h" // of MicroPython

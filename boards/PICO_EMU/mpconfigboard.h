// A Pico with an IP stack of its own, reached over PPP on a UART.
#define MICROPY_HW_BOARD_NAME                   "Raspberry Pi Pico with PPP"
#define MICROPY_HW_FLASH_STORAGE_BYTES          (1024 * 1024) // lwIP and Mote take the other half

#define MICROPY_PY_NETWORK                      (1)
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT     "mote"
#define MICROPY_PY_NETWORK_PPP_LWIP             (1)

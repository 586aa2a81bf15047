# AES and SHA-256 of mbedtls for MicroPython's QEMU port, which has neither: MBEDTLS= its sources.
SRC_USERMOD_LIB_C += $(USERMOD_DIR)/crypto.c
CFLAGS_USERMOD += -DMICROPY_SSL_MBEDTLS=1 -DMICROPY_PY_CRYPTOLIB=1
CFLAGS_USERMOD += -I$(MBEDTLS)/include -I$(MBEDTLS)/library -I$(USERMOD_DIR)
CFLAGS_USERMOD += -DMBEDTLS_CONFIG_FILE='"crypto_config.h"'

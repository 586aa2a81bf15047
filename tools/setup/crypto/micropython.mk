# AES and SHA-256 of mbedtls for ports of MicroPython that are built without TLS.
SRC_USERMOD_LIB_C += $(USERMOD_DIR)/crypto.c
CFLAGS_USERMOD += -DMICROPY_SSL_MBEDTLS=1 -DMICROPY_PY_CRYPTOLIB=1
CFLAGS_USERMOD += -I$(TOP)/lib/mbedtls/include -I$(TOP)/lib/mbedtls/library -I$(USERMOD_DIR)
CFLAGS_USERMOD += -DMBEDTLS_CONFIG_FILE='"crypto_config.h"'

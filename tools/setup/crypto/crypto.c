// The few files of mbedtls that cryptolib and hashlib need.
#include "aes.c"
#include "aesni.c"
#include "constant_time.c"
#include "platform_util.c"
#include "sha256.c"

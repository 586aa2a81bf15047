// What of mbedtls is compiled: as in firmware, with the tables of AES in flash.
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_CIPHER_MODE_CTR
#define MBEDTLS_SHA256_C
#if defined(__x86_64__)
#define MBEDTLS_AESNI_C
#define MBEDTLS_HAVE_ASM
#endif

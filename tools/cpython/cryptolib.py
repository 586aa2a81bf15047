"""MicroPython's `cryptolib` module for CPython, on the package `cryptography`."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_MODES = {1: lambda iv: modes.ECB(), 2: modes.CBC, 6: modes.CTR}


class aes:
    """AES in one mode: 1 ECB, 2 CBC, 6 CTR. CBC and CTR continue from call to call."""

    def __init__(self, key, mode, iv=None):
        self._cipher = Cipher(algorithms.AES(bytes(key)), _MODES[mode](iv))
        self._encryptor = self._decryptor = None

    def encrypt(self, data, out=None):
        """Return `data`, whole blocks, encrypted; write it to the buffer `out` if one is given."""
        if self._encryptor is None:
            self._encryptor = self._cipher.encryptor()
        return _result(self._encryptor.update(bytes(data)), out)

    def decrypt(self, data, out=None):
        """Return `data` decrypted; the arguments are those of encrypt()."""
        if self._decryptor is None:
            self._decryptor = self._cipher.decryptor()
        return _result(self._decryptor.update(bytes(data)), out)


def _result(data, out):
    if out is None:
        return data
    out[: len(data)] = data
    return out

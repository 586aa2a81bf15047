"""The links that a board.py asks for.

LINK      "wifi" (the default): wifi.py, with the access in secrets.json
          "ppp": ppp.py on the UART PPP_UART_ID with PPP_TX_PIN and PPP_RX_PIN
          "slipmux": no network, only the serial line
SLIPMUX   "uart": a serial line for CoAP alone, on the UART SLIPMUX_UART_ID with SLIPMUX_TX_PIN and
          SLIPMUX_RX_PIN; the default if the board has these
          "console": the line of the REPL, USB on most boards
          None: no serial line
"""

import config

BAUD = 115200
BUFFER_BYTES = 2048  # of a UART: the longest frame, received while the node is busy


def wifi(board):
    """Return True if the board is reached over Wi-Fi."""
    return getattr(board, "LINK", "wifi") == "wifi"


def choose(board, name, secrets_file, say):
    """Return the board's network link; None if it has none, or no Wi-Fi access.

    Raises ValueError for an invalid secrets file.
    """
    if wifi(board):
        return _wifi_link(board, name, config.load_secrets(secrets_file), say)
    if board.LINK != "ppp":
        return None
    import network

    from ppp import PppLink

    uart = _uart(board.PPP_UART_ID, board.PPP_TX_PIN, board.PPP_RX_PIN)
    return PppLink(network, uart, name, say)


def open_line(board, node):
    """Return the board's serial line as a Slipmux of the node, or None."""
    kind = getattr(board, "SLIPMUX", "uart" if hasattr(board, "SLIPMUX_UART_ID") else None)
    if kind is None:
        return None
    from coap.transports.slipmux import Slipmux

    if kind == "console":
        import sys

        return Slipmux(node, sys.stdin.buffer, sys.stdout.buffer, shared=True)
    uart = _uart(board.SLIPMUX_UART_ID, board.SLIPMUX_TX_PIN, board.SLIPMUX_RX_PIN)
    return Slipmux(node, uart, waits=False)


def _wifi_link(board, name, access, say):
    if access is None:
        return None
    import random

    import network

    from wifi import WifiLink

    return WifiLink(network, access, name, board.WIFI_OPTIONS, random.randrange, say)


def _uart(number, tx_pin, rx_pin):
    import gc

    from machine import UART, Pin

    gc.collect()  # each buffer is one contiguous block
    buffers = {"txbuf": BUFFER_BYTES, "rxbuf": BUFFER_BYTES}
    return UART(number, BAUD, tx=Pin(tx_pin), rx=Pin(rx_pin), **buffers)

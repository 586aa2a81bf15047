"""The label of a node, to print and to stick on it: a QR code and its name.

The code holds the node's address at the gateway and its name. Everybody who passes by reads a
label, so no secret is on it.
"""

from xml.sax.saxutils import escape, quoteattr

import segno

MODULE = 4  # width of a module of the code, in the units of the drawing
TEXT_LINES = 2
LINE = 16
NAME_MAX = 40  # characters that fit below the code


def label_svg(address: str, ep: str, title: str) -> str:
    """Return an SVG drawing of the code of `coap://ADDRESS/n/EP`, with title and name below it.

    Args:
        address: host and port as in a URI, like `192.168.1.2` or `[fd00::2]:5684`.
    """
    uri = f"coap://{address}/n/{ep}"
    # Not `micro`: few phones read those codes.
    code = segno.make(f"{uri} {title}" if title and title != ep else uri, error="m", micro=False)
    side, _ = code.symbol_size(scale=MODULE, border=4)
    drawing = code.svg_inline(scale=MODULE, border=4, light="#fff", omitsize=False)
    height = side + TEXT_LINES * LINE + LINE // 2
    lines = [shortened(title or ep), shortened(ep) if title and title != ep else ""]
    texts = "".join(
        f'<text x="{side // 2}" y="{side + LINE * row + LINE // 2}" {style}>{escape(text)}</text>'
        for row, (text, style) in enumerate(
            zip(lines, ('font-weight="bold" font-size="14"', 'font-size="12"'), strict=True)
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{height}" '
        f'viewBox="0 0 {side} {height}" role="img" aria-label={quoteattr(uri)}>'
        f'<rect width="100%" height="100%" fill="#fff"/>{drawing}'
        f'<g font-family="sans-serif" text-anchor="middle" fill="#000">{texts}</g></svg>'
    )


def shortened(text: str) -> str:
    """Return a text that fits below the code."""
    return text if len(text) <= NAME_MAX else text[: NAME_MAX - 1] + "…"

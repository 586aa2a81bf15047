"""A drawing in SVG: text, wires, labels of nets, and the symbols of parts.

Drawings have a background of their own, so that they can be read on light and dark pages whatever
the page and the browser think the theme is; a browser that prefers dark gets dark ones.
"""

from html import escape

WIDTH = 520  # on a phone it is shown at two thirds: text of 15 is read as one of 10
MARGIN = 20
TEXT = 15
SMALL = 13
LABEL_HEIGHT = 21
# Names of classes: the colour of a net's label.
NETS = ("supply", "ground", "contact", "lid", "battery", "sda", "scl", "serial", "button")
STYLE = """
svg { font-family: Helvetica, Arial, sans-serif; }
.paper { fill: #ffffff; stroke: #d1d9e0; }
.board { fill: #eef2f6; stroke: #59636e; }
text { fill: #1f2328; font-size: 15px; }
.head { font-size: 17px; font-weight: bold; }
.small { font-size: 13px; fill: #59636e; }
.wire { stroke: #1f2328; stroke-width: 2; fill: none; stroke-linecap: round; }
.dot, .pad { fill: #1f2328; }
.part { fill: #ffffff; stroke: #1f2328; stroke-width: 2; }
.net { fill: #ffffff; font-weight: bold; }
.supply { fill: #b42318; } .ground { fill: #424a53; } .contact { fill: #0860ca; }
.lid { fill: #7a3fd1; } .battery { fill: #1a7f37; } .sda { fill: #b24a00; }
.scl { fill: #86600a; } .serial { fill: #0b7285; } .button { fill: #6e7781; }
@media (prefers-color-scheme: dark) {
.paper { fill: #151b23; stroke: #3d444d; }
.board { fill: #262c36; stroke: #9198a1; }
text { fill: #f0f6fc; }
.small { fill: #b1bac4; }
.wire { stroke: #f0f6fc; }
.dot, .pad { fill: #f0f6fc; }
.part { fill: #151b23; stroke: #f0f6fc; }
.net { fill: #ffffff; }
}
"""


def text_width(text, size=TEXT):
    """Return about how wide a text is: the widest of the usual fonts."""
    return len(text) * size * 0.62


class Circuit:
    """Collects the elements of one drawing. Units are pixels, y grows downwards."""

    def __init__(self):
        self._elements = []

    def svg(self, title, height):
        """Return the file's text."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img">'
        )
        paper = (
            f'<rect class="paper" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="8"/>'
        )
        parts = [head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", paper]
        return "\n".join([*parts, *self._elements, "</svg>"]) + "\n"

    def text(self, x, y, text, kind="", anchor="start"):
        """Write a line of text; y is its base line. kind: "", "head", "small" or "net"."""
        style = f' class="{kind}"' if kind else ""
        self._add(f'<text{style} x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>')

    def label(self, x, y, text, net, anchor="start"):
        """Draw the label of a net with its middle at height y; return the x of its other side."""
        width = round(1.1 * text_width(text)) + 12  # bold
        left = {"start": x, "end": x - width}[anchor]
        top = y - LABEL_HEIGHT // 2
        self._add(
            f'<rect class="{net}" x="{left}" y="{top}" width="{width}" height="{LABEL_HEIGHT}" '
            'rx="5"/>'
        )
        self.text(left + width / 2, y + 5, text, "net", "middle")
        return left + width if anchor == "start" else left

    def wire(self, *points):
        """Draw a wire through points (x, y)."""
        self._add(f'<polyline class="wire" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')

    def dot(self, x, y):
        """Draw the joint of wires."""
        self._add(f'<circle class="dot" cx="{x}" cy="{y}" r="4"/>')

    def resistor(self, x, y, value, upright=False, note_left=False):
        """Draw a resistor whose wires begin at (x, y): 60 long, to the right or downwards."""
        if upright:
            self.wire((x, y), (x, y + 60))
            self._add(f'<rect class="part" x="{x - 8}" y="{y + 12}" width="16" height="36"/>')
            self._note(x, y + 35, value, note_left)
        else:
            self.wire((x, y), (x + 60, y))
            self._add(f'<rect class="part" x="{x + 12}" y="{y - 8}" width="36" height="16"/>')
            self.text(x + 30, y - 15, value, "", "middle")

    def capacitor(self, x, y, value, note_left=False):
        """Draw a capacitor downwards from (x, y), 60 long."""
        self.wire((x, y), (x, y + 26))
        self.wire((x - 14, y + 26), (x + 14, y + 26))
        self.wire((x - 14, y + 34), (x + 14, y + 34))
        self.wire((x, y + 34), (x, y + 60))
        self._note(x + (-8 if note_left else 8), y + 35, value, note_left)

    def contact(self, x, y, lines):
        """Draw a normally open contact downwards from (x, y), 60 long, its text to the left."""
        self.wire((x, y), (x, y + 16))
        self.wire((x, y + 44), (x - 14, y + 18))
        self.wire((x, y + 44), (x, y + 60))
        for i, line in enumerate(lines):
            self.text(x - 26, y + 27 + 19 * i, line, "" if i == 0 else "small", "end")

    def diode(self, x, y, text):
        """Draw a diode to the right from (x, y), 60 long."""
        self.wire((x, y), (x + 60, y))
        self._add(
            f'<polygon class="dot" points="{x + 20},{y - 10} {x + 20},{y + 10} {x + 38},{y}"/>'
        )
        self.wire((x + 38, y - 10), (x + 38, y + 10))
        self.text(x + 30, y - 18, text, "", "middle")

    def cell(self, x, y, lines):
        """Draw a cell, its plus at (x, y), downwards, 60 long, its text to the right."""
        self.wire((x, y), (x, y + 26))
        self.wire((x - 18, y + 26), (x + 18, y + 26))
        self.wire((x - 9, y + 34), (x + 9, y + 34))
        self.wire((x, y + 34), (x, y + 60))
        for i, line in enumerate(lines):
            self.text(x + 20, y + 46 + 18 * i, line, "" if i == 0 else "small")

    def ground(self, x, y):
        """Draw the symbol of ground below (x, y)."""
        for i, half in enumerate((12, 8, 3)):
            self.wire((x - half, y + 5 * i), (x + half, y + 5 * i))

    def box(self, x, y, width, height, lines):
        """Draw a part as a box with lines of text."""
        self._add(f'<rect class="part" x="{x}" y="{y}" width="{width}" height="{height}" rx="4"/>')
        first = y + height / 2 - 10 * (len(lines) - 1) + 5
        for i, line in enumerate(lines):
            self.text(x + width / 2, first + 20 * i, line, "", "middle")

    def board(self, x, y, width, height):
        """Draw the outline of a board."""
        self._add(
            f'<rect class="board" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'
        )

    def pad(self, x, y):
        """Draw a pin of a board."""
        self._add(f'<circle class="pad" cx="{x}" cy="{y}" r="4"/>')

    def _note(self, x, y, text, is_left):
        if text:
            self.text(x - 16 if is_left else x + 16, y, text, "", "end" if is_left else "start")

    def _add(self, element):
        self._elements.append(element)

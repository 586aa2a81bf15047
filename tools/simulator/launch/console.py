"""What a person sees when a node has started: its resources, how to ask it, how to play."""

import re
import shlex
import shutil

from setup.console import ROOT
from simulator.launch.address import bracketed
from simulator.launch.mini_client import get

LINK = re.compile(r'<([^>]*)>((?:;[^,;="]+(?:=(?:"[^"]*"|[^",;]*))?)*)')
TYPE = re.compile(r';rt="?([^";]*)')
FAVOURITES = ("/s/contact", "/s/hr", "/test")
WIDEST_VALUE = 32
NODES = {
    "door": "door node",
    "wearable": "wearable node",
    "both": "door and wearable node",
    "plugtest": "plugtest server",
}
DOOR_LINES = ("door open", "door close", "tamper on", "battery 2900")
WEARABLE_LINES = ("hr 88", "steps 1200", "temp 36.9", "battery 2900")


class Banner:
    """The text for one node.

    app: None where it follows from its resources.
    notes: a function that returns more lines; none at first.
    """

    def __init__(self, app, host, port, title, by_itself):
        self.app = app
        # Any address of this computer will do for a node that listens on all of them.
        self.host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self.port = port
        self.title = title.strip()
        self.by_itself = by_itself
        self.notes = list

    def show(self):
        """Prints it."""
        print(self.text(), flush=True)

    def text(self):
        """The whole text; asks the node for its resources and their values."""
        links = self.resources()
        paths = [path for path, _ in links]
        self.app = self.app or app_of(paths)
        chosen = next((path for path in FAVOURITES if path in paths), "/.well-known/core")
        lines = [f"\nA simulated {NODES[self.app]} on {self.title}.\n"]
        lines += self.table(links)
        lines += ["", "Ask it from another terminal:"]
        lines += [f"  {line}" for line in self.clients(chosen)]
        lines += ["", *self.notes(), *self.how_to_play(), "Ctrl-C ends it.", ""]
        return "\n".join(lines)

    def resources(self):
        """(path, resource type) of everything that the node lists."""
        listing = get(self.host, self.port, "/.well-known/core") or b""
        found = []
        for path, attributes in LINK.findall(listing.decode(errors="replace")):
            kind = TYPE.search(attributes)
            found.append((path, kind[1] if kind else ""))
        return found

    def table(self, links):
        """A line for each resource: path, current value, type."""
        asked = self.app != "plugtest"  # there, a GET may take seconds
        rows = [(path, self.value(path) if asked else "", kind) for path, kind in links]
        wide = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        return [f"  {row[0]:{wide[0]}}  {row[1]:{wide[1]}}  {row[2]}".rstrip() for row in rows]

    def value(self, path):
        """The current value as text that fits into a column."""
        payload = get(self.host, self.port, path)
        if payload is None:
            return ""
        text = payload.decode(errors="replace")
        if not text.isprintable():
            return f"{len(payload)} bytes"
        return text if len(text) <= WIDEST_VALUE else text[: WIDEST_VALUE - 3] + "..."

    def clients(self, path):
        """Commands that exist on this computer and fetch `path`."""
        url = f"coap://{bracketed(self.host)}:{self.port}{path}"
        found = []
        libcoap = shutil.which("coap-client-notls") or shutil.which("coap-client")
        if libcoap:
            found.append(f"{libcoap.rpartition('/')[2]} -m get {shlex.quote(url)}")
        aiocoap = ROOT / ".venv" / "bin" / "aiocoap-client"
        if aiocoap.exists():
            found.append(f"{shlex.quote(str(aiocoap))} {shlex.quote(url)}")
        return found

    def how_to_play(self):
        """Lines that say what may be typed, or that nobody needs to type anything."""
        if self.app == "plugtest":
            return []
        if self.by_itself:
            return ["The door opens and closes by itself every few seconds."]
        door, wearable = self.app in ("door", "both"), self.app in ("wearable", "both")
        typed = list(dict.fromkeys(DOOR_LINES * door + WEARABLE_LINES * wearable))
        start = (
            "Press Enter to open or close the door, or type a line:" if door else "Type a line:"
        )
        half = len(typed) if len(typed) <= 4 else (len(typed) + 1) // 2
        rows = [typed[:half], typed[half:]]
        return [start, *("  " + "   ".join(row) for row in rows if row)]


def app_of(paths):
    """The application that has these resources."""
    if "/s/hr" not in paths:
        return "door"
    return "both" if "/s/contact" in paths else "wearable"

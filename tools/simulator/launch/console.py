"""What the terminal shows when a node has started: its resources, client commands, inputs."""

import re
import shlex
import shutil

from setup.console import ROOT
from simulator.launch.arguments import bracketed
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
DOOR_COMMANDS = ("door open", "door close", "tamper on", "battery 2900")
WEARABLE_COMMANDS = ("hr 88", "steps 1200", "temp 36.9", "battery 2900")


class Console:
    """The text for one node.

    Args:
        app: the application's name; None to derive it from the resources.
        by_itself: True if the door opens and closes without a person.
        notes: a function that returns further lines.
        speed: of the time while the node sleeps; None for a node that is always awake.
    """

    def __init__(self, app, host, port, title, by_itself, notes=list, speed=None):
        self.app = app
        # A node that listens on all addresses of this computer gets its requests at one.
        self.host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self.port = port
        self.title = title.strip()
        self.by_itself = by_itself
        self.notes = notes
        self.speed = speed

    def show(self):
        """Print the text."""
        print(self.sleeping_text() if self.speed else self.text(), flush=True)

    def sleeping_text(self):
        """Return the text for a node on a battery, which cannot be asked while it sleeps."""
        return "\n".join(
            [
                f"\nA simulated {NODES[self.app]} on a battery, on {self.title}. It sleeps,",
                "and reports to a receiver that runs here too: at each event, and at least once",
                f"an hour. Sleep passes {self.speed} times faster than the clock (SPEED=).\n",
                *self.commands(),
                "Ctrl-C ends it.",
                "",
            ]
        )

    def text(self):
        """Return the text; GET the node's resources and their values for it."""
        links = self.resources()
        paths = [path for path, _ in links]
        self.app = self.app or app_of(paths)
        chosen = next((path for path in FAVOURITES if path in paths), "/.well-known/core")
        lines = [f"\nA simulated {NODES[self.app]} on {self.title}.\n", *self.table(links), ""]
        lines += ["Ask it from another terminal:", *(f"  {line}" for line in self.clients(chosen))]
        lines += ["", *self.notes(), *self.commands(), "Ctrl-C ends it.", ""]
        return "\n".join(lines)

    def resources(self):
        """Return (path, resource type) of every link of the node."""
        listing = get(self.host, self.port, "/.well-known/core") or b""
        found = []
        for path, attributes in LINK.findall(listing.decode(errors="replace")):
            kind = TYPE.search(attributes)
            found.append((path, kind[1] if kind else ""))
        return found

    def table(self, links):
        """Return a line for each resource, cut to the terminal: path, present value, type."""
        width = shutil.get_terminal_size(fallback=(1000, 0)).columns
        with_values = self.app != "plugtest"  # there, a GET may take seconds
        rows = [(path, self.value(path) if with_values else "", kind) for path, kind in links]
        wide = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        lines = [f"  {row[0]:{wide[0]}}  {row[1]:{wide[1]}}  {row[2]}" for row in rows]
        return [line[:width].rstrip() for line in lines]

    def value(self, path):
        """Return the present value as text that fits into a column."""
        payload = get(self.host, self.port, path)
        if payload is None:
            return ""
        text = payload.decode(errors="replace")
        if not text.isprintable():
            return f"{len(payload)} bytes"
        return text if len(text) <= WIDEST_VALUE else text[: WIDEST_VALUE - 3] + "..."

    def clients(self, path):
        """Return commands of clients on this computer that GET `path`."""
        url = f"coap://{bracketed(self.host)}:{self.port}{path}"
        found = []
        libcoap = shutil.which("coap-client-notls") or shutil.which("coap-client")
        if libcoap:
            found.append(f"{libcoap.rpartition('/')[2]} -m get {shlex.quote(url)}")
        aiocoap = ROOT / ".venv" / "bin" / "aiocoap-client"
        if aiocoap.exists():
            found.append(f"{shlex.quote(str(aiocoap))} {shlex.quote(url)}")
        return found

    def commands(self):
        """Return the lines that list the commands, or say that none is needed."""
        if self.app == "plugtest":
            return []
        if self.by_itself:
            return ["The door opens and closes by itself every few seconds."]
        door, wearable = self.app in ("door", "both"), self.app in ("wearable", "both")
        known = list(dict.fromkeys(DOOR_COMMANDS * door + WEARABLE_COMMANDS * wearable))
        start = (
            "Press Enter to open or close the door, or type a line:" if door else "Type a line:"
        )
        half = len(known) if len(known) <= 4 else (len(known) + 1) // 2
        rows = [known[:half], known[half:]]
        return [start, *("  " + "   ".join(row) for row in rows if row)]


def app_of(paths):
    """Return the application that has these resources."""
    if "/s/hr" not in paths:
        return "door"
    return "both" if "/s/contact" in paths else "wearable"

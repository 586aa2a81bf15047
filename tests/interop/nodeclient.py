"""The `coap` package of node as a function; tools/js/coap_request.cjs does the talking."""

import base64
import json
import subprocess
from dataclasses import dataclass

import pytest
from processes import ROOT, program

SCRIPT = ROOT / "tools" / "js" / "coap_request.cjs"
PACKAGE = ROOT / "tools" / "js" / "node_modules" / "coap"
PATIENCE_S = 60


@dataclass
class Response:
    """A response: the code as "2.05", options by node's names with text values, the payload."""

    code: str
    options: dict
    payload: bytes


def request(url, method="GET", payload=b"", confirmable=True, options=None):
    """Send one request; the test fails with node's own message when no response comes."""
    node = program("node", package="nodejs")
    if not PACKAGE.exists():
        pytest.fail("node's package coap is missing: run `make setup`")
    wish = {
        "url": url,
        "method": method,
        "payload": base64.b64encode(payload).decode(),
        "confirmable": confirmable,
        "options": options or {},
        "patience_ms": PATIENCE_S * 1000,
    }
    command = [node, SCRIPT, json.dumps(wish)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S + 30)
    if done.returncode:
        pytest.fail(f"node's client, {method} {url}: {done.stderr.strip() or done.stdout}")
    answer = json.loads(done.stdout)
    return Response(answer["code"], answer["options"], base64.b64decode(answer["payload"]))

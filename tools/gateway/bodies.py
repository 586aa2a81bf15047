"""What handlers read of a request and what they respond: JSON, CSV, numbers, one-line errors."""

import json
import re
from typing import Any

from aiohttp import web

NUMBER_MAX = 1e12


def respond(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON response that no cache keeps."""
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return web.json_response(data, status=status, headers=headers)


def table(ep: str, text: str) -> web.Response:
    """Return CSV that a browser saves as a file."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", ep)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


def bad_request(text: str) -> web.HTTPBadRequest:
    """Return the error for a request that is wrong; the text names the fix."""
    return web.HTTPBadRequest(text=f"{text}\n")


async def body_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request; raise 415 for another media type, 400 for no object."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send JSON, with Content-Type: application/json\n")
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise bad_request("this is not JSON") from None
    if not isinstance(body, dict):
        raise bad_request("send a JSON object")
    return body


def text_of(body: dict[str, Any], name: str) -> str:
    """Return a text of an object; raise 400 when it is missing or something else."""
    value = body.get(name)
    if not isinstance(value, str):
        raise bad_request(f"{name} takes a text")
    return value


def payload_of(body: dict[str, Any]) -> tuple[bytes, int | None]:
    """Return the payload that JSON describes and its Content-Format.

    A text goes as text/plain, another value as application/json.
    """
    value = body.get("payload")
    if value is None:
        return b"", None
    if isinstance(value, str):
        return value.encode(), 0
    return json.dumps(value, separators=(",", ":")).encode(), 50


def number_of(request: web.Request, name: str, default: float) -> float:
    """Return a number of the query; raise 400 for what is none."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) <= NUMBER_MAX:
        raise bad_request(f"{name} takes a number")
    return value

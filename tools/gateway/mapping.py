"""The mapping between HTTP and CoAP of the proxy (RFC 8075), as functions without a connection.

`coap_request` makes the CoAP request for an HTTP request, `http_status` and `http_headers` say
what a CoAP response is in HTTP. A header that neither names passes: no cookie, no Authorization.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiocoap import Message
from aiocoap.numbers import codes
from aiocoap.numbers.codes import Code
from aiocoap.numbers.contentformat import ContentFormat

PAYLOAD = "application/coap-payload"  # any Content-Format, by its number (RFC 8075 section 6.2)
MAX_AGE_S = 60  # of a response that does not say (RFC 7252 section 5.10.5)
ETAGS_MAX = 8
METHODS = {
    "GET": codes.GET,
    "HEAD": codes.GET,
    "PUT": codes.PUT,
    "POST": codes.POST,
    "DELETE": codes.DELETE,
    "PATCH": codes.PATCH,
}
PATCH_FORMATS = (51, 52)  # JSON patch and JSON merge patch (RFC 8132)
STATUS = {
    codes.CREATED: 201,
    codes.DELETED: 204,
    codes.VALID: 304,
    codes.CHANGED: 204,
    codes.CONTENT: 200,
    codes.BAD_REQUEST: 400,
    codes.UNAUTHORIZED: 403,  # 401 would ask for a login that HTTP can not give to a node
    codes.BAD_OPTION: 500,  # the proxy chose the options
    codes.FORBIDDEN: 403,
    codes.NOT_FOUND: 404,
    codes.METHOD_NOT_ALLOWED: 405,
    codes.NOT_ACCEPTABLE: 406,
    codes.CONFLICT: 409,
    codes.PRECONDITION_FAILED: 412,
    codes.REQUEST_ENTITY_TOO_LARGE: 413,
    codes.UNSUPPORTED_CONTENT_FORMAT: 415,
    codes.UNPROCESSABLE_ENTITY: 422,
    codes.TOO_MANY_REQUESTS: 429,
    codes.INTERNAL_SERVER_ERROR: 500,
    codes.NOT_IMPLEMENTED: 501,
    codes.BAD_GATEWAY: 502,
    codes.SERVICE_UNAVAILABLE: 503,
    codes.GATEWAY_TIMEOUT: 504,
    codes.PROXYING_NOT_SUPPORTED: 502,
}
# A media type as a client may write it -> Content-Format; of those with parameters the bare name.
FORMATS = {
    str(ContentFormat(number).media_type).split(";")[0]: number
    for number in (0, 40, 41, 42, 47, 50, 51, 52, 60, 110, 111, 112, 113, 257)
}
TAG = re.compile(r'(W/)?"([^"]*)"')
HEX_TAG = re.compile(r"(?:[0-9a-f]{2}){1,8}")


class Refused(Exception):
    """A request that the proxy answers itself: an HTTP status and one line of text."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


def coap_request(method: str, headers: Mapping[str, str], body: bytes) -> Message:
    """Return the CoAP request for an HTTP request, without a path and without Accept.

    Raises:
        Refused: 405 another method, 412 an If-Match that no ETag of CoAP fulfils, 415 a media
            type that CoAP has no number for.
    """
    if method not in METHODS:
        raise Refused(405, f"the proxy takes {', '.join(METHODS)}")
    request = Message(code=METHODS[method])
    if body or method == "PATCH":
        number, body = payload_of(headers.get("Content-Type", ""), body)
        if method == "PATCH" and number not in PATCH_FORMATS:
            raise Refused(415, "PATCH takes application/json-patch+json or merge-patch+json")
        request.opt.content_format = number
        request.payload = body
    add_conditions(request, headers)
    return request


def payload_of(content_type: str, body: bytes) -> tuple[int, bytes]:
    """Return the Content-Format of a body and the body, text as UTF-8.

    Raises:
        Refused: 415, for a media type without a number, or a charset that the body is not in.
    """
    name, parameters = media_type(content_type)
    if name == PAYLOAD and parameters.get("cf", "").isdecimal() and int(parameters["cf"]) < 65536:
        return int(parameters["cf"]), body
    if name not in FORMATS:
        raise Refused(415, f"no Content-Format is known for {name or 'a body without a type'}")
    charset = parameters.get("charset", "utf-8")
    if name == "text/plain":
        try:
            body = body.decode(charset).encode()
        except (LookupError, UnicodeError):
            raise Refused(415, "the text is not in the charset that it names") from None
    return FORMATS[name], body


def media_type(text: str) -> tuple[str, dict[str, str]]:
    """Return the name of a media type in small letters, and its parameters."""
    name, *rest = (part.strip() for part in text.split(";"))
    pairs = (part.partition("=") for part in rest)
    return name.lower(), {key.strip().lower(): value.strip(' "') for key, _, value in pairs}


def add_conditions(request: Message, headers: Mapping[str, str]) -> None:
    """Turn If-Match and If-None-Match into options; raise Refused where that can not be done."""
    wanted = headers.get("If-Match", "").strip()
    if wanted == "*":
        request.opt.if_match = [b""]
    elif wanted:
        request.opt.if_match = entity_tags(wanted, weak=False)
        if not request.opt.if_match:
            raise Refused(412, "no ETag of CoAP is like that: 1 to 8 bytes as hexadecimal digits")
    known = headers.get("If-None-Match", "").strip()
    if request.code == codes.GET:
        if known and known != "*":
            request.opt.etags = entity_tags(known)
    elif known == "*":
        request.opt.if_none_match = True
    elif known:
        raise Refused(412, "of If-None-Match a write takes * only: CoAP has no other")


def entity_tags(text: str, weak: bool = True) -> list[bytes]:
    """Return the first 8 entity-tags of a list that can be ETags of CoAP."""
    found = [tag for mark, tag in TAG.findall(text) if weak or not mark]
    return [bytes.fromhex(tag) for tag in found if HEX_TAG.fullmatch(tag)][:ETAGS_MAX]


def http_status(response: Message) -> int:
    """Return the HTTP status of a CoAP response; of an unknown code that of its class."""
    code = Code(response.code)
    if code in (codes.DELETED, codes.CHANGED) and response.payload:
        return 200
    if code in STATUS:
        return STATUS[code]
    return {4: 400, 5: 500}.get(int(code) >> 5, 502)


def http_headers(response: Message, age_s: int | None = None) -> dict[str, str]:
    """Return the headers of a CoAP response, without Location.

    Args:
        age_s: age of a value that the mirror told. Max-Age counts from now and max-age from the
            birth of the value, so that the age is added to it.
    """
    headers = {}
    code, opt = Code(response.code), response.opt
    max_age = opt.max_age
    if code in (codes.CONTENT, codes.VALID):
        left = MAX_AGE_S if max_age is None else max_age
        headers["Cache-Control"] = f"max-age={left + (age_s or 0)}, private"
        if age_s is not None:
            headers["Age"] = str(age_s)
    elif code in (codes.SERVICE_UNAVAILABLE, codes.TOO_MANY_REQUESTS):
        headers["Retry-After"] = str(MAX_AGE_S if max_age is None else max_age)
        headers["Cache-Control"] = "no-store"
    else:
        headers["Cache-Control"] = "no-store"
    if code == codes.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET, HEAD"  # CoAP does not tell; what every resource of a node has
    if opt.etag is not None:
        headers["ETag"] = f'"{opt.etag.hex()}"'
    if response.payload:
        headers["Content-Type"] = content_type(opt.content_format)
    return headers


def content_type(content_format: int | None) -> str:
    """Return the media type of a Content-Format; without one it is a diagnostic text."""
    if content_format is None or content_format == 0:
        return "text/plain; charset=utf-8"
    known = ContentFormat(content_format)
    if known.is_known() and known.encoding == "identity":
        return str(known.media_type)
    return f"{PAYLOAD};cf={int(content_format)}"


def location(response: Message, node: int, ep: str, is_mirror: bool) -> str:
    """Return where a created resource is, as a URI of this server.

    Args:
        is_mirror: the gateway responded; what it made waits in the node's queue.
    """
    path = response.opt.location_path
    if is_mirror and path[:1] == ("q",):
        return f"/api/nodes/{node}/queue/{path[-1]}"
    query = "&".join(quote(part, safe="") for part in response.opt.location_query)
    place = "/".join(quote(part, safe="") for part in path)
    return f"/hc/coap://{quote(ep)}/{place}{'?' * bool(query)}{query}"


def event(response: Message) -> bytes:
    """Return a notification as an event: JSON with status, media type and text or base64."""
    found: dict[str, Any] = {
        "status": http_status(response),
        "type": content_type(response.opt.content_format),
    }
    try:
        found["text"] = response.payload.decode()
    except UnicodeDecodeError:
        found["base64"] = base64.b64encode(response.payload).decode()
    kind = b"" if response.code == codes.CONTENT else b"event: end\n"
    return kind + b"data: " + json.dumps(found, ensure_ascii=False).encode() + b"\n\n"

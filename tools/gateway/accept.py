"""What an Accept header asks of CoAP, which takes one Content-Format."""

import re
from dataclasses import dataclass

from .mapping import FORMATS, PAYLOAD, Refused, media_type

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Acceptable:
    """What a client accepts: the best known Content-Format, None for any; and whether to retry.

    Attributes:
        any_else: after 4.06 the same request without Accept is worth a try.
        stream: notifications are wanted.
    """

    content_format: int | None
    any_else: bool
    stream: bool


def acceptable(accept: str) -> Acceptable:
    """Return what the value of an Accept header asks of CoAP.

    Raises:
        Refused: 406, nothing that is acceptable has a Content-Format.
    """
    best: dict[int | None, float] = {}
    refused, stream = set(), False
    for item in accept.split(",") if accept.strip() else ["*/*"]:
        name, parameters = media_type(item)
        quality = _quality(parameters.get("q", "1"))
        if name == EVENT_STREAM:
            stream = stream or quality > 0
            continue
        for number in _formats_like(name, parameters):
            if quality:
                best[number] = max(quality, best.get(number, 0))
            else:
                refused.add(number)
    for number in refused & set(best):
        del best[number]
    if not best:
        if stream:
            return Acceptable(None, True, True)
        raise Refused(406, "no Content-Format of CoAP is acceptable to this client")
    chosen = max(best, key=lambda number: (best[number], number is None))
    return Acceptable(chosen, None in best, stream)


def _formats_like(name: str, parameters: dict[str, str]) -> list[int | None]:
    if name == "*/*":
        return [None]
    if name == PAYLOAD:
        return [int(parameters["cf"])] if parameters.get("cf", "").isdecimal() else []
    if name == "application/*":
        return [FORMATS["application/json"], FORMATS["application/cbor"]]
    if name == "text/*":
        return [FORMATS["text/plain"]]
    return [FORMATS[name]] if name in FORMATS else []


def _quality(text: str) -> float:
    return float(text) if re.fullmatch(r"0(\.\d{0,3})?|1(\.0{0,3})?", text) else 0.0

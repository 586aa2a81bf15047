"""Discovery (RFC 6690): TD_COAP_LINK_01 to 09."""

import re

from coap.numbers import BLOCK2, CONTENT_FORMAT, LINK_FORMAT
from conformance.check import check, want, want_code
from conformance.checks.block import rest

CORE = ".well-known/core"
LINK = re.compile(r'<([^>]*)>((?:;[^;,="]+(?:="(?:[^"\\]|\\.)*"|=[^;,"]*)?)*)(?:,|$)')
ATTRIBUTE = re.compile(r';([^;,="]+)(?:="((?:[^"\\]|\\.)*)"|=([^;,"]*))?')


def links(client, path=CORE):
    """The links at a path: {href: {attribute: value}}."""
    response = client.ask("GET", path)
    want_code(response, "2.05")
    if response.payload:
        want(response.uint(CONTENT_FORMAT) == LINK_FORMAT, "not in the link format", response)
    whole = rest(client, path, response) if response.block(BLOCK2) else response.payload
    text = whole.decode()
    found = {}
    at = 0
    while at < len(text):
        match = LINK.match(text, at)
        want(match, f"not the link format: {text[at : at + 60]}")
        attributes = ATTRIBUTE.findall(match[2])
        found[match[1]] = {name: quoted or plain for name, quoted, plain in attributes}
        at = match.end()
    return found


def filtered(subject, query, matches):
    """The query gives just those links of the whole list for which matches(href, attributes)."""
    client = subject.client()
    whole = links(client)
    wanted = {href for href, attributes in whole.items() if matches(href, attributes)}
    want(0 < len(wanted) < len(whole), f"{len(wanted)} of {len(whole)} would match")
    got = set(links(client, f"{CORE}?{query}"))
    missing, extra = sorted(wanted - got), sorted(got - wanted)
    want(not missing, f"{query}: without {', '.join(missing)}")
    want(not extra, f"{query}: and {', '.join(extra)}")


@check("6690 4", "/.well-known/core lists the resources", "test", plugtest="LINK_01")
def core(subject, test):
    found = links(subject.client())
    for path in (test, *[path for name, path in subject.server.paths.items() if "link" in name]):
        want(f"/{path}" in found, f"without /{path}")


@check("6690 4.1", "rt=Type1", "link1", plugtest="LINK_02")
def rt(subject, _):
    filtered(subject, "rt=Type1", lambda href, a: "Type1" in a.get("rt", "").split())


@check("6690 4.1", "rt=*: what has an rt", "link1", plugtest="LINK_03")
def rt_any(subject, _):
    filtered(subject, "rt=*", lambda href, a: "rt" in a)


@check("6690 4.1", "rt=Type2 among several", ("link1", "link2", "link3"), plugtest="LINK_04")
def rt_several(subject, *_):
    filtered(subject, "rt=Type2", lambda href, a: "Type2" in a.get("rt", "").split())


@check("6690 4.1", "if=If*", "link1", plugtest="LINK_05")
def interface(subject, _):
    filtered(
        subject,
        "if=If*",
        lambda href, a: any(value.startswith("If") for value in a.get("if", "").split()),
    )


@check("6690 4.1", "sz=*: what has a size", "large-sz", plugtest="LINK_06")
def size(subject, _):
    filtered(subject, "sz=*", lambda href, a: "sz" in a)


@check("6690 4.1", "href=/link1", "link1", plugtest="LINK_07")
def href(subject, link1):
    filtered(subject, f"href=/{link1}", lambda href, a: href == f"/{link1}")


@check("6690 4.1", "href=/link*", ("link1", "link2", "link3"), plugtest="LINK_08")
def href_prefix(subject, *_):
    filtered(subject, "href=/link*", lambda href, a: href.startswith("/link"))


@check("6690 5", "links that lead to links", "path", plugtest="LINK_09")
def hierarchy(subject, path):
    client = subject.client()
    want(links(client)[f"/{path}"].get("ct") == "40", f"/{path} is not listed with ct=40")
    found = [href for href in links(client, path) if href.startswith(f"/{path}/")]
    want(found, "no sub-resources")
    for href in found:
        response = want_code(client.ask("GET", href.lstrip("/")), "2.05")
        want(href in response.payload.decode(), "not its own content", response)


@check("6690 4.1", "ct=40, a whole value", "path")
def content_format(subject, _):
    filtered(subject, "ct=40", lambda href, a: "40" in a.get("ct", "").split())


@check("6690 4.1", "obs: what can be observed", "obs")
def observable(subject, obs):
    found = links(subject.client())
    want("obs" in found[f"/{obs}"], f"/{obs} has no obs")


@check("6690 4.1", "a prefix does not match without *", "link1")
def no_prefix(subject, _):
    client = subject.client()
    response = client.ask("GET", f"{CORE}?rt=Type")
    want_code(response, "2.05", "4.04")
    want(not response.payload or response.code == "4.04", "matched", response)

"""What the gateway prints when it has started: where its page is, and what nodes are given."""

import ipaddress

import ifaddr

from .settings import COAP_PORT, Settings

EVERY = ("", "::", "0.0.0.0")


def banner(settings: Settings) -> str:
    """Return the text: the page, the CoAP address on each network, the folders."""
    host, port = settings.http_address
    shown = "localhost" if host in EVERY else f"[{host}]" if ":" in host else host
    lines = [f"Page    http://{shown}:{port}"]
    host, port = settings.coap_address
    places = networks() if host in EVERY else [("", host)]
    for i, (network, address) in enumerate(places or [("this computer only", "127.0.0.1")]):
        uri = f"coap://[{address}]" if ":" in address else f"coap://{address}"
        uri += f":{port}" * (port != COAP_PORT)
        lines.append(f"{'Nodes' if i == 0 else '     '}   {uri}  {network}".rstrip())
    lines.append("        this is `gateway` in a node's settings")
    lines.append(f"Keys    {settings.keys}: `make keys NODE=name` puts them there")
    lines.append(f"Data    {settings.data}")
    if settings.lan:
        lines.append(
            f"The page is open to the network for who has the token in {settings.data / 'token'}."
        )
        lines.append(
            "It is not encrypted: for use from afar put a reverse proxy with TLS before it."
        )
    return "\n".join(lines)


def networks() -> list[tuple[str, str]]:
    """Return (interface, IPv4 address) of each network of this computer but loopback."""
    found = []
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips:
            if one.is_IPv4 and not ipaddress.ip_address(str(one.ip)).is_loopback:
                found.append((adapter.nice_name, str(one.ip)))
    return found

"""Nodes as most applications want them: with the usual extensions, in the sizes of a board."""

from micropython import const

import coap.node as node
from coap.codec import IX_OSCORE

_OPTIONS_BYTES = const(128)  # of a message, without its payload


class Node(node.Node):
    """coap.node.Node; without extensions it gets the default ones."""

    def __init__(self, *extensions, **settings):
        super().__init__(*(extensions or default_extensions()), **settings)


def default_extensions(
    observers=8, blocks=2, block_bytes=2048, rate=0, group=False, requests=0, echo=True
):
    """Return the extensions that most nodes want.

    observers, blocks: entries, 0 leaves the extension out; block_bytes: the longest payload that
    is reassembled; rate: requests a second that each peer may send, 0 for no limit; group: respond
    to 224.0.1.187 too; requests: requests of the node's own at a time, sent by node.client; echo:
    let clients show by an Echo that they receive at their addresses.
    """
    from coap.link_format import WellKnownCore
    from coap.no_response import NoResponse

    extensions = [WellKnownCore()]  # type: list
    if echo:
        from coap.echo import Echo

        extensions.append(Echo())
    if observers:
        from coap.conditional_observe import ConditionalObserve
        from coap.observe import Observe

        extensions += (ConditionalObserve(), Observe(observers))
    if blocks:
        from coap.blockwise import Blockwise

        extensions.append(Blockwise(blocks, block_bytes))
    if rate:
        from coap.rate_limit import RateLimit

        extensions.append(RateLimit(rate, 2 * rate))
    if group:
        from coap.multicast import Multicast

        extensions.append(Multicast())
    if requests:
        from coap.client import Client

        extensions.append(Client(requests, dedup_entries=4 * requests))
    extensions.append(NoResponse())  # last: it depends on the response code
    return extensions


def node_for_board(slots, recv_max, rate=0, group=False, more=()):
    """Return a node in the sizes of a board.

    slots: a dict with dedup_entries, exchanges, peers, observers, blocks, and perhaps block_bytes,
    requests, cached_response_bytes and separate_responses; recv_max: bytes of the longest
    datagram; more: further extensions.
    """
    sizes = dict(slots)
    observers, blocks = sizes.pop("observers"), sizes.pop("blocks")
    block_bytes, requests = sizes.pop("block_bytes", 2048), sizes.pop("requests", 0)
    # OSCORE has an Echo of its own, and who has no keys is asked for none: bodies go in blocks
    echo = not blocks or not any(one.critical_mask >> IX_OSCORE & 1 for one in more)
    extensions = default_extensions(observers, blocks, block_bytes, rate, group, requests, echo)
    return node.Node(*extensions, *more, max_payload=recv_max - _OPTIONS_BYTES, **sizes)

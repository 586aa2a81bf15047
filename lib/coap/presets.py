"""A node as most want it: with the usual features, in the sizes of a board."""

from micropython import const

import coap.node as node

_OPTIONS_BYTES = const(128)  # of a message, beside its payload


class Node(node.Node):
    """coap.node.Node; without features it gets the usual ones."""

    def __init__(self, *features, **settings):
        super().__init__(*(features or default_extensions()), **settings)


def default_extensions(observers=8, blocks=2, block_bytes=2048, rate=0, group=False, requests=0):
    """The features that most nodes want. observers, blocks: slots, 0 leaves the feature out;
    block_bytes: the longest payload that is put together; rate: requests a second that each peer
    may send, 0 for no limit; group: answer to 224.0.1.187 too; requests: of the node's own, at a
    time, which node.client sends.
    """
    from coap.link_format import WellKnownCore
    from coap.no_response import NoResponse

    features = [WellKnownCore()]  # type: list
    if observers:
        from coap.conditional_observe import ConditionalObserve
        from coap.observe import Observe

        features += (ConditionalObserve(), Observe(observers))
    if blocks:
        from coap.blockwise import Blockwise

        features.append(Blockwise(blocks, block_bytes))
    if rate:
        from coap.rate_limit import RateLimit

        # before all others: it may narrow what they do
        features.insert(0, RateLimit(rate, 2 * rate))
    if group:
        from coap.multicast import Multicast

        features.append(Multicast())
    if requests:
        from coap.client import Client

        features.append(Client(requests, dedup_entries=4 * requests))
    features.append(NoResponse())  # after all that may change the code of an answer
    return features


def node_for_board(slots, recv_max, rate=0, group=False, more=()):
    """A node in the sizes of a board: its tables, and the longest datagram that it takes.

    slots: a dict with remembered, exchanges, peers, observers, blocks, and perhaps block_bytes,
    requests, reply_bytes and promises; more: further features.
    """
    sizes = dict(slots)
    observers, blocks = sizes.pop("observers"), sizes.pop("blocks")
    block_bytes, requests = sizes.pop("block_bytes", 2048), sizes.pop("requests", 0)
    features = default_extensions(observers, blocks, block_bytes, rate, group, requests)
    return node.Node(*features, *more, max_payload=recv_max - _OPTIONS_BYTES, **sizes)

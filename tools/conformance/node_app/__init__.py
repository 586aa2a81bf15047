"""The conformance application: the resources of the public CoAP plugtest, and some of our own.

It is also the documentation of Mote's API by example. A resource without state is a function:

    @node.get("large")                          core.py, blocks.py
    def large(request, response): ...

and one with state is a class with methods get, put and so on: held.py has the simplest,
observing.py adds observers and timers, store.py resources that come and go, document.py FETCH and
PATCH.

A node is made of the features it is to have; see make_node().
"""

from node_app import blocks, core, counters, document, links, observing, store


def make_node(rate=0, group=False, more=()):
    """Return a node with all features that the resources need, sized for many clients at a time.

    rate: requests a second that each peer may send, 0 for no limit; group: respond to requests
    to a multicast group too; more: features, such as those of credentials.features().
    """
    from coap import Node
    from coap.blockwise import Blockwise
    from coap.echo import Echo
    from coap.link_format import WellKnownCore
    from coap.no_response import NoResponse
    from coap.observe import Observe
    from coap.problem_details import ProblemDetails

    features = [
        WellKnownCore(),
        Observe(slots=16),
        Blockwise(slots=4, bytes=2048),
        Echo(),
        NoResponse(),
        ProblemDetails(),
    ]
    if rate:
        from coap.rate_limit import RateLimit

        features.append(RateLimit(rate, 2 * rate))
    if group:
        from coap.multicast import Multicast

        features.append(Multicast())
    return Node(
        *features,
        *more,
        dedup_entries=64,
        peers=64,
        exchanges=8,
        separate_responses=8,
        timers=12,
        amplification_bytes=None,  # its large resources are its purpose
    )


def setup(node):
    """Add all resources to the node, and start the timers of those that change by themselves."""
    for part in (core, observing, blocks, links, counters, store, document):
        part.setup(node)

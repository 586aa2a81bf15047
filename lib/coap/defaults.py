"""A node as most want it: with the usual features."""

import coap.node as node


class Node(node.Node):
    """coap.node.Node; without features it gets the usual ones."""

    def __init__(self, *features, **settings):
        if not features:
            from coap.link import WellKnownCore

            features = (WellKnownCore(),)
        super().__init__(*features, **settings)

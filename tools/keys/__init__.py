"""OSCORE keys of nodes: made here, provisioned on boards, shared with the gateway."""

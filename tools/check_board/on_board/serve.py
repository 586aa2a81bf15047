"""Serves the conformance application over the board's network link, until it is interrupted."""

import gc

import board
import node_app

import links
import startup
from config import Settings

node = node_app.make_node(0, True, {})
node_app.setup(node)
link = links.choose(board, "plugtest", "secrets.json", print)
service = startup.make_service(node, link, None, Settings(), "plugtest", print)
startup.run(service, link, gc.mem_free)

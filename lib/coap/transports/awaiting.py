"""Requests of a node that an asyncio task waits for, beside serve().

answer = await answer_to(node.client.get(peer("192.168.1.2"), "s/door"))
print(answer, answer.payload)
"""

import asyncio


class Answer:
    """A copy of what came: code (0: nothing), payload, content_format; str() tells code or why."""

    def __init__(self, response, payload):
        self.code = response.code
        self.payload = payload
        self.content_format = response.content_format
        self.text = str(response)

    def __str__(self):
        return self.text


async def answer_to(call):
    """Wait for the answer to a Call that was just made, whole when it comes in blocks.

    A task that is cancelled cancels the call too.
    """
    done = asyncio.Event()
    pieces = []
    found = []

    def take(response):
        if not response.offset:
            pieces.clear()  # the state changed meanwhile: it begins anew
        pieces.append(response.payload_bytes())
        if response.last:
            found.append(Answer(response, b"".join(pieces)))
            done.set()

    client = call.client
    call.tell(take)
    try:
        await done.wait()
    finally:
        if not found:
            client.cancel(call)
    return found[0]

# An aiocoap client, run and killed by test_observe_restarts.py: it observes and prints the payload
# of each notification, or "refused". Argument: URL.
import asyncio
import sys

import aiocoap
from aiocoap.error import NotObservable
from aiocoapclient import TRANSPORTS


async def main():
    context = await aiocoap.Context.create_client_context(transports=TRANSPORTS)
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=sys.argv[1], observe=0))
    await request.response
    try:
        async for notification in request.observation:
            print(notification.payload.decode(), flush=True)
    except NotObservable:
        print("refused", flush=True)


asyncio.run(main())

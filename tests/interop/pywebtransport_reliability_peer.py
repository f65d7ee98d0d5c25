"""pywebtransport 0.9.1's DatagramReliabilityLayer as one end of the reliability interop test.

    pywebtransport_reliability_peer.py server COUNT CERTIFICATE KEY
    pywebtransport_reliability_peer.py client URL COUNT
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys

import pywebtransport_sessions as peer
from echo_test import say
from pywebtransport.datagram.reliability import DatagramReliabilityLayer
from python_peer import free_udp_port, wait_until_bound

SIZE_RANGE_BYTES = 592
# Its layer sends without limit. More unacknowledged messages than this would only fill queues.
UNACKNOWLEDGED = 200
PATIENCE_S = 120
# At 10 % loss each way, one message in 20,000 fails 6 times: the default of 5 retries would give some up.
OPTIONS = {"ack_timeout": 0.5, "max_retries": 120}


def message(number: int) -> bytes:
    size = 8 + number * 37 % SIZE_RANGE_BYTES
    return struct.pack(">I", number) + bytes((number * 31 + index) & 0xFF for index in range(4, size))


async def send_all(layer: DatagramReliabilityLayer, count: int) -> None:
    for number in range(count):
        while len(layer._pending_acks) >= UNACKNOWLEDGED:
            await asyncio.sleep(0.002)
        await layer.send(data=message(number))
    while layer._pending_acks:
        await asyncio.sleep(0.01)
    say("settled", acknowledged=count, doubled=0)


async def receive_all(layer: DatagramReliabilityLayer, count: int) -> None:
    seen: set[int] = set()
    doubled = wrong = 0
    while len(seen) < count:
        data = await layer.receive(timeout=PATIENCE_S)
        number = struct.unpack(">I", data[:4])[0] if len(data) >= 4 else count
        if number >= count or data != message(number):
            wrong += 1
        elif number in seen:
            doubled += 1
        else:
            seen.add(number)
    say("received", messages=len(seen), doubled=doubled, wrong=wrong)


async def run(session, count: int) -> None:
    async with DatagramReliabilityLayer(session._session, **OPTIONS) as layer:
        await asyncio.wait_for(asyncio.gather(send_all(layer, count), receive_all(layer, count)), PATIENCE_S)
        # The peer may still need acknowledgements. The runner ends the input when both peers are done.
        await asyncio.to_thread(sys.stdin.read)


async def client(url: str, count: int) -> None:
    async with peer.connect(url) as session:
        await run(session, count)


async def server(count: int, certificate: str, key: str) -> None:
    port = free_udp_port()
    ended = asyncio.get_running_loop().create_future()

    async def handle(session, path: str) -> None:
        try:
            await run(session, count)
            ended.set_result(None)
        except Exception as error:
            ended.set_exception(error)

    serving = asyncio.create_task(peer.serve("127.0.0.1", port, certificate, key, handle))
    await wait_until_bound(port, peer.VERSION)
    await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
    await ended


async def main() -> None:
    role, *arguments = sys.argv[1:]
    try:
        if role == "client":
            await client(arguments[0], int(arguments[1]))
        else:
            await server(int(arguments[0]), *arguments[1:])
    except Exception as error:
        say("error", message=repr(error))
        os._exit(1)
    # Its server does not end when it is cancelled (0.9.1 waits for its connections forever).
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())

"""Writes pywebtransport-0.9.1.json with the reference's own packing code.

Run it with Python 3.11 or newer and pywebtransport 0.9.1 installed:
    python generate.py > pywebtransport-0.9.1.json
"""

import asyncio
import importlib.metadata
import json
import struct

from pywebtransport.datagram.reliability import DatagramReliabilityLayer
from pywebtransport.events import Event
from pywebtransport.types import EventType

assert importlib.metadata.version("pywebtransport") == "0.9.1"


class Session:
    """Stands in for a session: keeps what the layer sends."""

    is_closed = False

    def __init__(self):
        self.sent = []
        self.events = self

    def on(self, **_):
        pass

    def off(self, **_):
        pass

    async def send_datagram(self, *, data):
        self.sent.append(bytes(data))


async def sent_by_reference(sequence, payload):
    session = Session()
    async with DatagramReliabilityLayer(session) as layer:
        layer._send_sequence = sequence
        await layer.send(data=payload)
    (frame,) = session.sent
    return frame


async def answer_of_reference(frame):
    """What the reference sends and delivers when it receives `frame`."""
    session = Session()
    async with DatagramReliabilityLayer(session) as layer:
        event = Event(type=EventType.DATAGRAM_RECEIVED, data={"data": frame})
        await layer._on_datagram_received(event=event)
        delivered = layer._incoming_queue.get_nowait() if layer._incoming_queue.qsize() else None
    return session.sent, delivered


async def main():
    data, acks, ignored = [], [], []
    payloads = [b"", b"x", b"hello", bytes(range(256)), b"\x04DATA\x00\x00\x00\x07nested", b"\xff" * 1100]
    for sequence in [0, 1, 9, 10, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]:
        for payload in payloads:
            frame = await sent_by_reference(sequence, payload)
            data.append({"sequence": sequence, "payload": payload.hex(), "frame": frame.hex()})
        answer, delivered = await answer_of_reference(await sent_by_reference(sequence, b"p"))
        assert delivered == b"p" and len(answer) == 1
        acks.append({"sequence": sequence, "frame": answer[0].hex()})
    # Frames that the reference must not answer: what this library sends to negotiate and afterwards.
    hello = b"\x06WTGRAM" + struct.pack("!BIQQ", 1, 0, 0x1122334455667788, 0)
    for name, frame in [
        ("hello", hello),
        ("bound data", b"\x01D" + bytes.fromhex("0abcde00000007") + b"payload"),
        ("bound ack", b"\x01R" + bytes.fromhex("0abcde000000000700")),
        ("empty", b""),
        ("type longer than the datagram", b"\x05DATA"),
        ("data shorter than its header", b"\x04DATA\x00\x00\x00"),
    ]:
        answer, delivered = await answer_of_reference(frame)
        assert answer == [] and delivered is None, name
        ignored.append({"name": name, "frame": frame.hex()})
    print(json.dumps({"data": data, "acks": acks, "ignored": ignored}, indent=1))


asyncio.run(main())

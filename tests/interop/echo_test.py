"""The echo test that every peer speaks, whatever its language.

A client sends numbered payloads, and the server returns each datagram as it came. The client checks every byte of
every echo and sends again the payloads that did not come back. Datagrams may be lost, so the test asserts that all
came back, unchanged, within a bounded number of re-sends. A datagram that starts with ASK_CLOSE asks the server to
close the session with the code and reason that it was started with. A client sends it if the server is to close the
session.

A peer prints each report as one JSON object a line. The runner (run_pair.py) reads and checks them.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Protocol

ASK_CLOSE = b"please close"
WINDOW = 32  # outstanding payloads; well below the queue limit of every peer
QUIET_S = 0.25  # if nothing came back for so long, it sends the outstanding ones again
PAYLOAD_RANGE_BYTES = 992  # sizes 8..999: fits the first QUIC packet of every peer (Chromium's limit is the lowest)


class Session(Protocol):
    """The functions that the two loops below need of a peer's session."""

    async def send(self, data: bytes) -> None: ...
    async def receive(self, timeout_s: float) -> bytes | None: ...
    async def close(self, code: int, reason: str) -> None: ...
    async def wait_closed(self, timeout_s: float) -> dict | None: ...


def say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def payload(number: int) -> bytes:
    """The number in 4 big-endian bytes, then a pattern. Size and pattern depend on the number."""
    size = 8 + number * 37 % PAYLOAD_RANGE_BYTES
    return struct.pack(">I", number) + bytes((number * 31 + index) & 0xFF for index in range(4, size))


async def exchange(session: Session, wanted: int, deadline_s: float) -> bool:
    """Client: returns True if each payload came back byte for byte, with at most `wanted` re-sends in all."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    outstanding: dict[int, bytes] = {}
    returned: set[int] = set()
    next_number = resent = duplicates = 0
    problem = None

    while len(returned) < wanted and problem is None:
        while next_number < wanted and len(outstanding) < WINDOW:
            outstanding[next_number] = payload(next_number)
            await session.send(outstanding[next_number])
            next_number += 1

        echo = await session.receive(QUIET_S)
        if loop.time() > deadline:
            problem = f"out of time after {deadline_s} s"
        elif echo is None:
            if resent + len(outstanding) > 50 * wanted:
                problem = "too many re-sends"
                break
            for data in list(outstanding.values()):
                await session.send(data)
                resent += 1
        else:
            number = struct.unpack(">I", echo[:4])[0] if len(echo) >= 4 else wanted
            if number in returned:
                duplicates += 1  # the answer to a re-send whose first answer was only late
            elif outstanding.get(number) == echo:
                del outstanding[number]
                returned.add(number)
            else:
                problem = f"a datagram of {len(echo)} bytes that was never sent: {echo[:16].hex()}"

    say("echoes", wanted=wanted, returned=len(returned), resent=resent, duplicates=duplicates, problem=problem)
    return problem is None


async def run_client(session: Session, wanted: int, closer: str, code: int, reason: str, deadline_s: float) -> bool:
    """Client: runs the exchange, then the session is closed by `closer`."""
    if not await exchange(session, wanted, deadline_s):
        return False
    if closer == "client":
        await session.close(code, reason)
        say("closed", by="local", code=code, reason=reason)
        return True
    for _ in range(10):
        try:
            await session.send(ASK_CLOSE)
        except Exception as error:  # the close may have arrived meanwhile; wait_closed below reports it or fails
            say("note", message=f"send while closing: {error!r}")
        if info := await session.wait_closed(0.5):
            say("closed", by="peer", **info)
            return True
    say("error", message="the server was asked to close and did not")
    return False


async def run_server_session(session: Session, path: str, code: int, reason: str) -> None:
    """Server: echoes until one side closes the session, and reports which side."""
    say("session", path=path)
    echoed = 0
    while True:
        if info := await session.wait_closed(0):
            say("closed", by="peer", echoed=echoed, **info)
            return
        data = await session.receive(0.1)
        if data is None:
            continue
        if data.startswith(ASK_CLOSE):
            await session.close(code, reason)
            say("closed", by="local", echoed=echoed, code=code, reason=reason)
            return
        await session.send(data)
        echoed += 1

"""The echo test that every peer speaks, whatever its language.

A client sends numbered payloads, and the server returns each datagram as it came. The client checks every byte of
every echo and sends again the payloads that did not come back. Datagrams may be lost, so the test asserts that all
came back, unchanged, within a bounded number of re-sends.

Then the client sends a datagram of the largest size that fits until the server answers, and an empty datagram until
one comes back. A large datagram is a marker of 6 bytes, a number in 4 big-endian bytes, and a pattern. The server
checks the pattern of a datagram that starts with ASK_LARGE. It answers with ANSWER_LARGE in a datagram of the largest
size that fits in its own direction; the number is the size of the datagram that it got.

A datagram that starts with ASK_CLOSE asks the server to close the session with the code and reason that it was started
with. A client sends it if the server is to close the session. A server refuses a request for the path REFUSED_PATH with
status 404.

A peer prints each report as one JSON object a line. The runner (run_pair.py) reads and checks them:

- `listening` of a server: port, version
- `session` of both: the client's with its version, the server's with the path; both with the subprotocol, if they have
  one
- `refused` of a client that gets no session: the HTTP status or null, message, version
- `echoes`, `largest`, `empty` of a client: problem, or null
- `closed` of both: by whom, code, reason
- `error`: anything else that went wrong
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol

ASK_CLOSE = b"please close"
ASK_LARGE, ANSWER_LARGE = b"large?", b"large!"
REFUSED_PATH = "/missing"
WINDOW = 32  # outstanding payloads; well below the queue limit of every peer
QUIET_S = 0.25  # if nothing came back for so long, it sends the outstanding ones again
ATTEMPTS = 10  # so often it sends a large datagram or an empty one
PAYLOAD_RANGE_BYTES = 992  # sizes 8..999: fits the first QUIC packet of every peer (Chromium's limit is the lowest)


class Session(Protocol):
    """The functions that the two loops below need of a peer's session."""

    protocol: str | None  # the subprotocol

    async def send(self, data: bytes) -> None: ...
    async def receive(self, timeout_s: float) -> bytes | None: ...
    async def largest(self) -> int: ...
    async def close(self, code: int, reason: str) -> None: ...
    async def wait_closed(self, timeout_s: float) -> dict | None: ...


class Refused(Exception):
    """There is no session. `status` is the HTTP status that the server answered with, as far as the peer says it."""

    def __init__(self, status: int | None, message: str) -> None:
        super().__init__(message)
        self.status = status


def say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def payload(number: int) -> bytes:
    """The number in 4 big-endian bytes, then a pattern. Size and pattern depend on the number."""
    size = 8 + number * 37 % PAYLOAD_RANGE_BYTES
    return struct.pack(">I", number) + bytes((number * 31 + index) & 0xFF for index in range(4, size))


def large(marker: bytes, number: int, size: int) -> bytes:
    return marker + struct.pack(">I", number) + bytes((size * 31 + index) & 0xFF for index in range(10, size))


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


async def ask(
    session: Session, make: Callable[[], Awaitable[bytes]], is_answer: Callable[[bytes, bytes], bool]
) -> tuple[bytes, bytes]:
    """Client: sends what `make` returns until the answer comes. Returns both. Late echoes may come before the answer."""
    for _ in range(ATTEMPTS):
        question = await make()
        await session.send(question)
        while (data := await session.receive(QUIET_S)) is not None:
            if is_answer(question, data):
                return question, data
    raise TimeoutError(f"no answer to {ATTEMPTS} datagrams of {len(question)} bytes")


async def exchange_extremes(session: Session) -> None:
    """Client: the largest and the smallest datagram that there can be, each way."""

    async def ask_large() -> bytes:
        return large(ASK_LARGE, 0, await session.largest())

    async def ask_empty() -> bytes:
        return b""

    def is_large(question: bytes, data: bytes) -> bool:
        return data == large(ANSWER_LARGE, len(question), len(data))

    def is_empty(question: bytes, data: bytes) -> bool:
        return data == question

    for event, make, is_answer in (("largest", ask_large, is_large), ("empty", ask_empty, is_empty)):
        sent, received, problem = b"", b"", None
        try:
            sent, received = await ask(session, make, is_answer)
        except Exception as error:
            problem = repr(error)
        say(event, sent=len(sent), received=len(received), problem=problem)


async def run_client(session: Session, wanted: int, closer: str, code: int, reason: str, deadline_s: float) -> bool:
    """Client: runs the exchanges, then the session is closed by `closer`."""
    if not await exchange(session, wanted, deadline_s):
        return False
    await exchange_extremes(session)
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
    say("error", message="the server was asked to close, and no close was seen")
    return False


async def run_server_session(session: Session, path: str, code: int, reason: str) -> None:
    """Server: echoes until one side closes the session, and reports which side."""
    say("session", path=path, protocol=session.protocol)
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
        if data.startswith(ASK_LARGE):
            if data != large(ASK_LARGE, 0, len(data)):
                say("error", message=f"a large datagram of {len(data)} bytes arrived changed")
            data = large(ANSWER_LARGE, len(data), await session.largest())
        await session.send(data)
        echoed += 1

"""aioquic as one end of the echo test (python_peer.py has its command line).

aioquic's `H3Connection(enable_webtransport=True)` has SETTINGS, datagrams and streams. It has no calls for the CONNECT
request and for capsules: a program sends the header fields itself, and writes and reads capsules (RFC 9297) as the DATA
of the CONNECT stream. This program does that in both roles.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import ssl
import sys
import urllib.parse
from collections.abc import AsyncIterator, Callable

import python_peer
from aioquic.asyncio import QuicConnectionProtocol
from aioquic.asyncio import connect as connect_quic
from aioquic.asyncio import serve as serve_quic
from aioquic.buffer import Buffer, BufferReadError, encode_uint_var
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DatagramReceived, DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, QuicEvent
from echo_test import REFUSED_PATH, Refused

VERSION = importlib.metadata.version("aioquic")
CLOSE_CAPSULE = 0x2843
CONNECT_TIMEOUT_S = 30


class Session:
    """A CONNECT stream with its datagrams."""

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self.protocol: str | None = None
        self.answer: asyncio.Future[dict[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._stream_id = stream_id
        self._received: asyncio.Queue[bytes] = asyncio.Queue()
        self._capsules = b""
        self._closed: asyncio.Future[dict] = asyncio.get_running_loop().create_future()

    def handle(self, event: H3Event) -> None:
        if isinstance(event, DatagramReceived):
            self._received.put_nowait(event.data)
        elif isinstance(event, HeadersReceived) and not self.answer.done():
            self.answer.set_result(dict(event.headers))
        elif isinstance(event, DataReceived):
            self._capsules += event.data
            self._read_capsules()
        if getattr(event, "stream_ended", False):
            self.end({"code": 0, "reason": ""})  # the stream's end without a capsule means this

    def _read_capsules(self) -> None:
        buffer = Buffer(data=self._capsules)
        with contextlib.suppress(BufferReadError):  # the rest is still to come
            while True:
                kind, value = buffer.pull_uint_var(), buffer.pull_bytes(buffer.pull_uint_var())
                self._capsules = self._capsules[buffer.tell() :]
                if kind == CLOSE_CAPSULE:
                    self.end({"code": int.from_bytes(value[:4], "big"), "reason": value[4:].decode()})
                buffer = Buffer(data=self._capsules)

    def end(self, info: dict) -> None:
        if not self._closed.done():
            self._closed.set_result(info)

    async def send(self, data: bytes) -> None:
        self._connection.http.send_datagram(self._stream_id, data)
        self._connection.transmit()

    async def receive(self, timeout_s: float) -> bytes | None:
        try:
            return await asyncio.wait_for(self._received.get(), timeout_s)
        except asyncio.TimeoutError:
            return None

    async def largest(self) -> int:
        return python_peer.AIOQUIC_LARGEST_BYTES

    async def close(self, code: int, reason: str) -> None:
        value = code.to_bytes(4, "big") + reason.encode()
        capsule = encode_uint_var(CLOSE_CAPSULE) + encode_uint_var(len(value)) + value
        self._connection.http.send_data(self._stream_id, capsule, end_stream=True)
        self._connection.transmit()
        await asyncio.sleep(0.5)

    async def wait_closed(self, timeout_s: float) -> dict | None:
        await asyncio.wait({self._closed}, timeout=timeout_s)
        return self._closed.result() if self._closed.done() else None


class Connection(QuicConnectionProtocol):
    """A QUIC connection with HTTP/3. A server gives each new request to `on_request`."""

    on_request: Callable[[Session, dict[bytes, bytes], Connection, int], None] | None = None

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.http: H3Connection | None = None
        self.sessions: dict[int, Session] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
        elif isinstance(event, ConnectionTerminated):
            for session in self.sessions.values():
                session.end({"code": None, "reason": f"QUIC error {event.error_code}: {event.reason_phrase}"})
        for h3_event in self.http.handle_event(event) if self.http else ():
            stream_id = h3_event.stream_id
            if isinstance(h3_event, HeadersReceived) and stream_id not in self.sessions and self.on_request:
                self.sessions[stream_id] = Session(self, stream_id)
                self.on_request(self.sessions[stream_id], dict(h3_event.headers), self, stream_id)
            elif session := self.sessions.get(stream_id):
                session.handle(h3_event)


@contextlib.asynccontextmanager
async def connect(url: str, protocols: list[str]) -> AsyncIterator[Session]:
    parts = urllib.parse.urlsplit(url)
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, max_datagram_frame_size=65536
    )
    async with connect_quic(
        parts.hostname, parts.port, configuration=configuration, create_protocol=Connection
    ) as connection:
        stream_id = connection._quic.get_next_available_stream_id()
        session = connection.sessions[stream_id] = Session(connection, stream_id)
        headers = [
            (b":method", b"CONNECT"),
            (b":protocol", b"webtransport"),
            (b":scheme", b"https"),
            (b":authority", parts.netloc.encode()),
            (b":path", (parts.path + (f"?{parts.query}" if parts.query else "")).encode()),
        ]
        if protocols:
            headers.append((b"wt-available-protocols", ", ".join(f'"{name}"' for name in protocols).encode()))
        connection.http.send_headers(stream_id, headers)
        connection.transmit()
        answer = await asyncio.wait_for(session.answer, CONNECT_TIMEOUT_S)
        status = int(answer[b":status"])
        if not 200 <= status < 300:
            raise Refused(status, f"status {status}")
        if b"wt-protocol" in answer:
            session.protocol = answer[b"wt-protocol"].decode().strip('"')
        yield session


async def serve(
    host: str, port: int, certificate: str, key: str, handler: python_peer.Handler, protocol: str | None
) -> None:
    tasks: set[asyncio.Task] = set()

    def on_request(session: Session, request: dict[bytes, bytes], connection: Connection, stream_id: int) -> None:
        path = request[b":path"].decode()
        refused = path == REFUSED_PATH or request.get(b":protocol") != b"webtransport"
        answer = [(b":status", b"404" if refused else b"200")]
        if protocol and f'"{protocol}"'.encode() in request.get(b"wt-available-protocols", b""):
            session.protocol = protocol
            answer.append((b"wt-protocol", f'"{protocol}"'.encode()))
        connection.http.send_headers(stream_id, answer, end_stream=refused)
        connection.transmit()
        if not refused:
            task = asyncio.create_task(handler(session, path))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    class ServedConnection(Connection):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            self.on_request = on_request

    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN, max_datagram_frame_size=65536)
    configuration.load_cert_chain(certificate, key)
    await serve_quic(host, port, configuration=configuration, create_protocol=ServedConnection)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(python_peer.main(VERSION, connect, serve))

"""The three generations of pywebtransport, each with the Session of echo_test.py.

Each has `connect` and `serve` of python_peer.py. Only 0.21 knows subprotocols. These clients do not verify certificates, because pywebtransport has no certificate hashes, and our server's
certificate is self-signed. The other role proves that our own client verifies hashes.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import re
import ssl
from collections.abc import AsyncIterator

from echo_test import REFUSED_PATH, Refused
from python_peer import AIOQUIC_LARGEST_BYTES, Handler

VERSION = importlib.metadata.version("pywebtransport")
GENERATION = tuple(int(part) for part in VERSION.split(".")[:2])


class ClosedOnce:
    """Remembers how the session ended. Several events of pywebtransport may report it; the first one counts."""

    def __init__(self) -> None:
        self._info: dict | None = None
        self._event = asyncio.Event()

    def note(self, data: object) -> None:
        if self._info is None:
            data = data if isinstance(data, dict) else {}
            code = data.get("code", data.get("error_code"))
            self._info = {"code": code, "reason": data.get("reason") or ""}
            self._event.set()

    async def wait(self, session, timeout_s: float) -> dict | None:
        if self._info is None and (session.is_closed or _connection_is_closed(session)):
            # The event with code and reason may still be on its way. 0.9 drops it with the session's emitter. 0.6 and
            # 0.9 raise no event when the QUIC connection ends under the session; then it is only known that the session
            # is closed.
            await self._wait_event(0.5)
            return self._info or {"code": None, "reason": ""}
        if timeout_s > 0:
            await self._wait_event(timeout_s)
        return self._info

    async def _wait_event(self, timeout_s: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout_s)


def _connection_is_closed(session) -> bool:
    connection = getattr(session, "_connection", None)
    if connection is None:
        connection = getattr(session, "connection", None)
    connection = connection() if callable(connection) else connection
    return connection is not None and connection.is_closed


class SessionOf06:
    """0.6: datagrams have their own transport object."""

    protocol = None

    def __init__(self, session) -> None:
        self._session = session
        self._closed = ClosedOnce()
        from pywebtransport.types import EventType

        session.on(event_type=EventType.SESSION_CLOSED, handler=self._on_closed)

    async def _on_closed(self, event) -> None:
        self._closed.note(event.data)

    async def send(self, data: bytes) -> None:
        transport = await self._session.datagrams
        await transport.send(data=data)

    async def receive(self, timeout_s: float) -> bytes | None:
        from pywebtransport.exceptions import DatagramError, TimeoutError

        try:
            transport = await self._session.datagrams
            return await transport.receive(timeout=timeout_s)
        except (TimeoutError, DatagramError) as error:
            if not isinstance(error, TimeoutError):
                await asyncio.sleep(0.01)  # closed: the caller calls wait_closed next
            return None

    async def largest(self) -> int:
        return AIOQUIC_LARGEST_BYTES

    async def close(self, code: int, reason: str) -> None:
        # With close_connection=True it closes QUIC before the capsule has left, and no peer would see the code.
        await self._session.close(code=code, reason=reason, close_connection=False)
        await asyncio.sleep(0.5)

    async def wait_closed(self, timeout_s: float) -> dict | None:
        return await self._closed.wait(self._session, timeout_s)


class QueueFedSession:
    """0.9: datagrams arrive as events; there is no receive call."""

    protocol = None

    def __init__(self, session) -> None:
        self._session = session
        self._closed = ClosedOnce()
        self._received: asyncio.Queue[bytes] = asyncio.Queue()
        from pywebtransport.types import EventType

        session.events.on(event_type=EventType.DATAGRAM_RECEIVED, handler=self._on_datagram)
        session.events.on(event_type=EventType.SESSION_CLOSED, handler=self._on_closed)

    async def _on_datagram(self, event) -> None:
        self._received.put_nowait(event.data["data"])

    async def _on_closed(self, event) -> None:
        self._closed.note(event.data)

    async def send(self, data: bytes) -> None:
        await self._session.send_datagram(data=data)

    async def receive(self, timeout_s: float) -> bytes | None:
        try:
            return await asyncio.wait_for(self._received.get(), timeout_s)
        except asyncio.TimeoutError:
            return None

    async def largest(self) -> int:
        return AIOQUIC_LARGEST_BYTES

    async def close(self, code: int, reason: str) -> None:
        await self._session.close(error_code=code, reason=reason)
        await asyncio.sleep(0.5)

    async def wait_closed(self, timeout_s: float) -> dict | None:
        return await self._closed.wait(self._session, timeout_s)


class ReadingSession(QueueFedSession):
    """0.21: read_datagram loses what it reads if it is cancelled. So one task reads for all."""

    def __init__(self, session) -> None:
        self._session = session
        self._closed = ClosedOnce()
        self._received = asyncio.Queue()
        from pywebtransport.types import EventType

        session.events.on(event_type=EventType.SESSION_CLOSED, handler=self._on_closed)
        self._reader: asyncio.Task | None = None

    @property
    def protocol(self) -> str | None:
        return self._session.wt_protocol

    async def largest(self) -> int:
        """There is no call for it, but a datagram that is too large is an error. The other end ignores those sent here."""
        from pywebtransport.constants import DEFAULT_MAX_DATAGRAM_SIZE
        from pywebtransport.exceptions import DatagramError

        for size in range(DEFAULT_MAX_DATAGRAM_SIZE, 0, -1):
            with contextlib.suppress(DatagramError):
                await self._session.send_datagram(data=bytes(size))
                return size
        return 0

    def start(self) -> None:
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        from pywebtransport.exceptions import ConnectionError, SessionError

        with contextlib.suppress(SessionError, ConnectionError):
            while True:
                self._received.put_nowait(await self._session.read_datagram())


@contextlib.asynccontextmanager
async def connect(url: str, protocols: list[str] | None = None) -> AsyncIterator[object]:
    from pywebtransport import ClientConfig, WebTransportClient
    from pywebtransport.exceptions import WebTransportError

    settings = {"verify_mode": ssl.CERT_NONE, "connect_timeout": 60.0}
    config = ClientConfig.create(**settings) if hasattr(ClientConfig, "create") else ClientConfig(**settings)
    offered = {"wt_available_protocols": protocols} if protocols and GENERATION > (0, 9) else {}
    async with WebTransportClient(config=config) as client:
        try:
            session = await client.connect(url=url, **offered)
        except WebTransportError as error:
            status = re.search(r"status (\d{3})", str(error))  # only the text of the error says it
            raise Refused(int(status[1]) if status else None, repr(error)) from error
        if GENERATION <= (0, 6):
            yield SessionOf06(session)
        elif GENERATION <= (0, 9):
            yield QueueFedSession(session)
        else:
            reading = ReadingSession(session)
            reading.start()
            yield reading


async def serve(
    host: str, port: int, certificate: str, key: str, handler: Handler, protocol: str | None = None
) -> None:
    """Serves until it is cancelled. `handler(session, path)` runs once for each session."""
    if GENERATION <= (0, 9):
        await _serve_app(host, port, certificate, key, handler)
    else:
        await _serve_connections(host, port, certificate, key, handler, protocol)


async def _serve_app(host: str, port: int, certificate: str, key: str, handler: Handler) -> None:
    from pywebtransport import ServerApp, ServerConfig

    settings = {"bind_host": host, "bind_port": port, "certfile": certificate, "keyfile": key}
    config = ServerConfig.create(**settings) if hasattr(ServerConfig, "create") else ServerConfig(**settings)
    app = ServerApp(config=config)

    @app.pattern_route(pattern=rf"(?!{REFUSED_PATH}).*")
    async def echo(session) -> None:
        wrapped = SessionOf06(session) if GENERATION <= (0, 6) else QueueFedSession(session)
        await handler(wrapped, session.path)

    async with app:
        await app.serve(host=host, port=port)


async def _serve_connections(
    host: str, port: int, certificate: str, key: str, handler: Handler, protocol: str | None
) -> None:
    from pywebtransport import ServerConfig, WebTransportServer
    from pywebtransport.types import EventType

    tasks: set[asyncio.Task] = set()

    async def on_request(event) -> None:
        session = event.data["session"]
        if session.path == REFUSED_PATH:
            await session.reject(status_code=404)
            return
        wrapped = ReadingSession(session)
        offered = session.wt_available_protocols or []
        await session.accept(wt_protocol=protocol if protocol in offered else None)
        wrapped.start()
        task = asyncio.create_task(handler(wrapped, session.path))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    config = ServerConfig(bind_host=host, bind_port=port, certfile=certificate, keyfile=key)
    async with WebTransportServer(config=config) as server:
        await server.listen()
        connections = []  # pywebtransport keeps only weak references to them
        async for connection in server.incoming_connections():
            connections.append(connection)
            connection.events.on(event_type=EventType.SESSION_REQUEST_RECEIVED, handler=on_request)

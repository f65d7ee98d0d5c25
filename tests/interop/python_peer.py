"""The program of a peer in Python: one end of the echo test.

    PEER server --certificate C --key K [--close-code N --close-reason TEXT] [--protocol NAME]
    PEER client URL --count N --closer client|server [--close-code N --close-reason TEXT] [--protocols A,B]

A peer gives `connect(url, protocols)`, an async context manager that yields an echo_test.Session or raises
echo_test.Refused, and `serve(host, port, certificate, key, handler, protocol)`, which calls `handler(session, path)`
for each session.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import echo_test
from echo_test import say

Handler = Callable[[echo_test.Session, str], Awaitable[None]]

# aioquic, which older pywebtransports use too, has no call for it. Its packets have 1,200 bytes: less the header (with
# our connection ids of 8 bytes and a packet number of 2), the tag of the AEAD, the frame's type and length, and the
# quarter stream id.
AIOQUIC_LARGEST_BYTES = 1200 - (1 + 8 + 2) - 16 - (1 + 2) - 1


def free_udp_port() -> int:
    """A free port, because the peers refuse port 0 or do not say which port they got.

    On loopback, in one test, it is still free a moment later.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def wait_until_bound(port: int, version: str) -> None:
    """Reports `listening` when a socket is bound to the port."""
    for _ in range(500):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                say("listening", port=port, version=version)
                return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"nothing listens on UDP port {port} after 10 s")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    roles = parser.add_subparsers(dest="role", required=True)
    for role in ("server", "client"):
        sub = roles.add_parser(role)
        sub.add_argument("--close-code", type=int, default=0)
        sub.add_argument("--close-reason", default="")
        sub.add_argument("--seconds", type=float, default=60)
        if role == "server":
            sub.add_argument("--certificate", required=True)
            sub.add_argument("--key", required=True)
            sub.add_argument("--protocol")
        else:
            sub.add_argument("url")
            sub.add_argument("--hash", help="ignored: peers in Python verify no certificate hashes")
            sub.add_argument("--count", type=int, default=1000)
            sub.add_argument("--closer", choices=["client", "server"], default="client")
            sub.add_argument("--protocols", type=lambda text: text.split(","), default=[])
    return parser.parse_args()


async def run_server(arguments: argparse.Namespace, version: str, serve: Callable) -> None:
    port = free_udp_port()

    async def handle(session: echo_test.Session, path: str) -> None:
        try:
            await echo_test.run_server_session(session, path, arguments.close_code, arguments.close_reason)
        except Exception as error:
            say("error", message=repr(error))

    serving = asyncio.create_task(
        serve("127.0.0.1", port, arguments.certificate, arguments.key, handle, arguments.protocol)
    )
    ready = asyncio.create_task(wait_until_bound(port, version))
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    await serving


async def run_client(
    arguments: argparse.Namespace, version: str, connect: Callable[..., contextlib.AbstractAsyncContextManager]
) -> bool:
    try:
        async with connect(arguments.url, arguments.protocols) as session:
            say("session", version=version, protocol=session.protocol)
            return await echo_test.run_client(
                session, arguments.count, arguments.closer, arguments.close_code, arguments.close_reason,
                arguments.seconds,
            )
    except echo_test.Refused as refused:
        say("refused", version=version, status=refused.status, message=str(refused))
        return False


def main(version: str, connect: Callable, serve: Callable) -> int:
    arguments = parse_arguments()

    async def bounded() -> bool:
        if arguments.role == "server":
            await asyncio.wait_for(run_server(arguments, version, serve), arguments.seconds)
            return True
        return await asyncio.wait_for(run_client(arguments, version, connect), arguments.seconds + 20)

    try:
        return 0 if asyncio.run(bounded()) else 1
    except Exception as error:
        say("error", message=repr(error))
        return 1

"""pywebtransport as one end of the echo test.

    pywebtransport_peer.py server --certificate C --key K [--close-code N --close-reason TEXT]
    pywebtransport_peer.py client URL --count N --closer client|server [--close-code N --close-reason TEXT]
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys

import echo_test
import pywebtransport_sessions as peer
from echo_test import say


def free_udp_port() -> int:
    """A free port, because pywebtransport refuses port 0. On loopback, in one test, it is still free a moment later."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def wait_until_bound(port: int) -> None:
    """Reports `listening` when a socket is bound to the port."""
    for _ in range(500):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                say("listening", port=port, version=peer.VERSION)
                return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"nothing listens on UDP port {port} after 10 s")


async def server(arguments: argparse.Namespace) -> None:
    port = free_udp_port()

    async def handle(session: echo_test.Session, path: str) -> None:
        try:
            await echo_test.run_server_session(session, path, arguments.close_code, arguments.close_reason)
        except Exception as error:
            say("error", message=repr(error))

    serving = asyncio.create_task(peer.serve("127.0.0.1", port, arguments.certificate, arguments.key, handle))
    ready = asyncio.create_task(wait_until_bound(port))
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    await serving


async def client(arguments: argparse.Namespace) -> bool:
    async with peer.connect(arguments.url) as session:
        say("session", version=peer.VERSION)
        return await echo_test.run_client(
            session, arguments.count, arguments.closer, arguments.close_code, arguments.close_reason, arguments.seconds
        )


def main() -> int:
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
        else:
            sub.add_argument("url")
            sub.add_argument("--count", type=int, default=1000)
            sub.add_argument("--closer", choices=["client", "server"], default="client")
    arguments = parser.parse_args()

    async def bounded() -> bool:
        if arguments.role == "server":
            await asyncio.wait_for(server(arguments), arguments.seconds)
            return True
        return await asyncio.wait_for(client(arguments), arguments.seconds + 20)

    try:
        return 0 if asyncio.run(bounded()) else 1
    except Exception as error:
        say("error", message=repr(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""Structured objects between our C program and pywebtransport's StructuredDatagramTransport, with dataclasses there.

    structured_test.py --ours PROGRAM --role server|client --serializer json|msgpack [--count N]

The role is pywebtransport's. Run it with the Python of a pywebtransport 0.6 or 0.9 environment. The client sends N
objects and expects each back unchanged. Exits 0 only if that is true.
"""

# No `from __future__ import annotations`, because pywebtransport's serializers read the types of the fields.
import argparse
import asyncio
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

import python_peer
import pywebtransport_sessions as peer
from pywebtransport.datagram import StructuredDatagramTransport
from pywebtransport.serializer import JSONSerializer, MsgPackSerializer

HERE = pathlib.Path(__file__).parent
TYPE_ID = 513  # its two bytes differ
SERIALIZERS = {"json": JSONSerializer, "msgpack": MsgPackSerializer}


@dataclass
class Home:
    x: int
    y: int


@dataclass
class Player:
    id: int
    name: str
    scores: list[float]
    home: Home
    note: Any
    ready: bool


async def structured(session, serializer: str):
    registry = {TYPE_ID: Player}
    if peer.GENERATION <= (0, 6):
        return StructuredDatagramTransport(
            datagram_transport=await session.datagrams, serializer=SERIALIZERS[serializer](), registry=registry
        )
    transport = StructuredDatagramTransport(session=session, serializer=SERIALIZERS[serializer](), registry=registry)
    await transport.initialize()
    return transport


async def as_client(arguments: argparse.Namespace) -> bool:
    with subprocess.Popen([arguments.ours, "server", arguments.serializer], stdout=subprocess.PIPE, text=True,
                          preexec_fn=die_with_parent) as ours:
        port = int(ours.stdout.readline().split()[1])
        async with peer.connect(f"https://127.0.0.1:{port}/structured") as session:
            transport = await structured(session._session, arguments.serializer)
            for number in range(arguments.count):
                player = Player(
                    id=number, name=f"näme \U0001f600 \"{number}\" \x01", scores=[number + 0.5, -0.25, 1e300],
                    home=Home(x=-number - 1, y=2**64 - 1), note=None, ready=number % 2 == 0,
                )
                await transport.send_obj(obj=player)
                back = await transport.receive_obj(timeout=60)
                if back != player:
                    print(f"sent {player}\ngot  {back}")
                    return False
            await session.close(0, "")
        return await asyncio.to_thread(ours.wait, 40) == 0


async def as_server(arguments: argparse.Namespace) -> bool:
    port = python_peer.free_udp_port()
    folder = pathlib.Path(arguments.folder)

    async def echo(session, path: str) -> None:
        transport = await structured(session._session, arguments.serializer)
        for _ in range(arguments.count):
            player = await transport.receive_obj(timeout=60)
            assert isinstance(player, Player) and isinstance(player.home, Home), player
            await transport.send_obj(obj=player)

    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    serving = asyncio.create_task(peer.serve("127.0.0.1", port, certificate, key, echo))
    await python_peer.wait_until_bound(port, peer.VERSION)
    url = f"https://127.0.0.1:{port}/structured"
    ours = await asyncio.create_subprocess_exec(
        arguments.ours, "client", arguments.serializer, url, str(arguments.count), preexec_fn=die_with_parent
    )
    code = await asyncio.wait_for(ours.wait(), 90)
    serving.cancel()
    return code == 0


def die_with_parent() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--role", choices=["server", "client"], required=True)
    parser.add_argument("--serializer", choices=sorted(SERIALIZERS), required=True)
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = folder
        if arguments.role == "server":
            # make_certificate.py is a program: it takes the folder and prints the certificate's hash.
            subprocess.run([sys.executable, str(HERE / "make_certificate.py"), folder], check=True, stdout=subprocess.DEVNULL)
        good = asyncio.run((as_server if arguments.role == "server" else as_client)(arguments))
    print(f"{peer.VERSION} as {arguments.role}, {arguments.serializer}: {'ok' if good else 'FAILED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

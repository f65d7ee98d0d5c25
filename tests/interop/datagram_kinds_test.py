"""JSON datagrams and heartbeats between our C program and pywebtransport 0.6's datagram transport.

    datagram_kinds_test.py --ours PROGRAM --role server|client --kind json|heartbeat [--count N]

The role is pywebtransport's. Run it with the Python of a pywebtransport 0.6 environment: later versions have neither. N
documents go each way and must mean the same at both ends. Each heartbeat, and nothing else, must be recognized as one.
Exits 0 only if all this is true.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import python_peer
import pywebtransport_sessions as peer
from pywebtransport.datagram.utils import is_heartbeat_datagram
from run_pair import die_with_parent

HERE = pathlib.Path(__file__).parent


def document(number: int) -> dict:
    return {
        "name": "näme \U0001f600 \"q\" \x01/",
        "id": number,
        "nested": [[], {"深": [{"a": {"b": [True, False, None]}}]}],
        "numbers": [2**64, -(2**53) - 1, 0.1, -0.0, 1e300, 5e-324],
    }


def check_document(received: object, number: int) -> None:
    # It compares repr(), too: to Python 1 == 1.0 == True and -0.0 == 0.0, and the order of a dict does not count.
    if received != document(number) or repr(received) != repr(document(number)):
        raise AssertionError(f"expected {document(number)!r}\ngot      {received!r}")


async def exchange_json(transport, asks: bool, count: int) -> None:
    for number in range(count):
        if asks:
            await transport.send_json(data=document(number))
        check_document(await transport.receive_json(timeout=60), number)
        if not asks:
            await transport.send_json(data=document(number))
    # Python's json writes NaN, which JSON does not have. Our side reports it and goes on.
    await transport.send_json(data={"value": math.nan})
    check_document(await transport.receive_json(timeout=60), count)


async def exchange_heartbeats(transport, count: int) -> None:
    beating = transport.start_heartbeat(interval=0.05)
    seen, asked_to_stop = 0, False
    while seen < count or not asked_to_stop:
        data = await transport.receive(timeout=60)
        if is_heartbeat_datagram(data=data):
            seconds = data.removeprefix(b"HEARTBEAT:")
            if not (seconds.isdigit() and -1 <= time.time() - int(seconds) <= 60):
                raise AssertionError(f"not a heartbeat of now: {data!r}")
            seen += 1
        elif data == b"stop" and not asked_to_stop:
            asked_to_stop = True
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating
            await transport.send(data=b"stopped")
        else:
            raise AssertionError(f"neither a heartbeat nor `stop`: {data!r}")


async def exchange(session, arguments: argparse.Namespace, asks: bool, ours: asyncio.subprocess.Process) -> None:
    """Runs the exchange of this kind. Closes the session when our program reports that its part is done, too."""
    transport = await session._session.datagrams
    if arguments.kind == "json":
        await exchange_json(transport, asks, arguments.count)
    else:
        await exchange_heartbeats(transport, arguments.count)
    line = (await ours.stdout.readline()).decode().strip()
    if line != f"exchanged {arguments.count}":
        raise AssertionError(f"our program said {line!r}")
    await session.close(0, "")


async def start_ours(arguments: argparse.Namespace, role: str, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        arguments.ours, role, arguments.kind, str(arguments.count), *more, stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,
    )


async def as_client(arguments: argparse.Namespace) -> int:
    ours = await start_ours(arguments, "server")
    port = int((await ours.stdout.readline()).split()[1])
    async with peer.connect(f"https://127.0.0.1:{port}/kinds") as session:
        await exchange(session, arguments, True, ours)
    return await ours.wait()


async def as_server(arguments: argparse.Namespace, folder: pathlib.Path) -> int:
    port = python_peer.free_udp_port()
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    started: asyncio.Future[asyncio.subprocess.Process] = asyncio.get_running_loop().create_future()

    async def handle(session, path: str) -> None:
        try:
            await exchange(session, arguments, False, await started)
            outcome.set_result(None)
        except Exception as error:
            outcome.set_exception(error)

    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    serving = asyncio.create_task(peer.serve("127.0.0.1", port, certificate, key, handle))
    await python_peer.wait_until_bound(port, peer.VERSION)
    started.set_result(await start_ours(arguments, "client", f"https://127.0.0.1:{port}/kinds"))
    await outcome
    code = await (await started).wait()
    serving.cancel()
    return code


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--role", choices=["server", "client"], required=True)
    parser.add_argument("--kind", choices=["json", "heartbeat"], required=True)
    parser.add_argument("--count", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.role == "server":
            make = [sys.executable, str(HERE / "make_certificate.py"), folder]
            subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
            running = as_server(arguments, pathlib.Path(folder))
        else:
            running = as_client(arguments)
        code = asyncio.run(asyncio.wait_for(running, 90))
    print(f"{peer.VERSION} as {arguments.role}, {arguments.kind}: {'ok' if code == 0 else f'our exit code is {code}'}")
    return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

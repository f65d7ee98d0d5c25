"""pywebtransport 0.9.1's DatagramReliabilityLayer as a contender of `make bench-reliability`, both ends in one process.

    pywebtransport_contender.py SIMULATOR SEED SECONDS CONDITIONS CERTIFICATE KEY

Its default options (2 s, 5 retries), its own congestion controller (aioquic's NewReno). Prints one line of JSON as
main.rs does.
"""

import asyncio
import json
import math
import os
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "interop"))
import pywebtransport_sessions as peer  # noqa: E402
from pywebtransport.datagram.reliability import DatagramReliabilityLayer  # noqa: E402
from python_peer import free_udp_port, wait_until_bound  # noqa: E402

MESSAGE_BYTES, MESSAGES_PER_SECOND, PATIENCE_S = 100, 200, 30


class Link:
    """The link simulator, asked by JSON."""

    def __init__(self, process):
        self._process = process

    @classmethod
    async def start(cls, program, port, seed):
        pipe = asyncio.subprocess.PIPE
        link = cls(await asyncio.create_subprocess_exec(program, f"127.0.0.1:{port}", seed, stdin=pipe, stdout=pipe))
        link.port = (await link._answer())["port"]
        return link

    async def _answer(self):
        answer = json.loads(await self._process.stdout.readline())
        if answer["event"] == "error":
            raise RuntimeError(answer["message"])
        return answer

    async def ask(self, **command):
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await self._answer()

    async def stop(self):
        self._process.stdin.close()
        await self._process.wait()


def carried(counters):
    return counters["up"]["received_bytes"] + counters["down"]["received_bytes"]


async def measure(simulator, seed, seconds, conditions, certificate, key):
    port = free_udp_port()
    accepted = asyncio.get_running_loop().create_future()

    async def handle(session, path):
        accepted.set_result(session)
        await asyncio.Future()

    # Its server says on standard output that it listens; what counts as a line of ours is found by the runner.
    serving = asyncio.create_task(peer.serve("127.0.0.1", port, certificate, key, handle))
    await wait_until_bound(port, peer.VERSION)
    link = await Link.start(simulator, port, seed)
    count = int(seconds * MESSAGES_PER_SECOND)
    times: dict[int, float] = {}
    doubled = 0
    async with peer.connect(f"https://127.0.0.1:{link.port}/bench") as near_session:
        far_session = await accepted
        async with (DatagramReliabilityLayer(near_session._session) as near,
                    DatagramReliabilityLayer(far_session._session) as far):
            await link.ask(command="set", direction="both", **conditions)
            start = time.monotonic() + 1
            complete = asyncio.Event()

            def due(number):
                return start + number / MESSAGES_PER_SECOND

            async def read():
                nonlocal doubled
                while True:
                    message = await far.receive()
                    now = time.monotonic()
                    number = struct.unpack(">Q", message[:8])[0]
                    if number in times:
                        doubled += 1
                        continue
                    times[number] = (now - due(number)) * 1000
                    if len(times) == count:
                        complete.set()

            reader = asyncio.create_task(read())
            await asyncio.sleep(start - time.monotonic())
            before = carried(await link.ask(command="counters"))
            for number in range(count):
                await asyncio.sleep(max(0.0, due(number) - time.monotonic()))
                await near.send(data=struct.pack(">Q", number) + b"\x5a" * (MESSAGE_BYTES - 8))
            try:
                await asyncio.wait_for(complete.wait(), PATIENCE_S)
            except asyncio.TimeoutError:
                pass
            counters = await link.ask(command="counters")
            reader.cancel()
    await link.stop()

    ordered = sorted(times.values())

    def quantile(share):
        return ordered[max(0, math.ceil(len(ordered) * share) - 1)]

    def loss(direction):
        return counters[direction]["lost_random"] / max(counters[direction]["received"], 1)

    print(json.dumps({
        "messages": count, "delivered": len(times), "doubled": doubled,
        "p50_ms": quantile(0.5), "p98_ms": quantile(0.98), "p999_ms": quantile(0.999), "max_ms": quantile(1.0),
        "wire_bytes_per_delivered_byte": (carried(counters) - before) / (len(times) * MESSAGE_BYTES),
        "loss_up": loss("up"), "loss_down": loss("down"), "more": {"version": peer.VERSION},
    }), flush=True)


def main():
    simulator, seed, seconds, conditions, certificate, key = sys.argv[1:]

    async def run():
        await measure(simulator, seed, float(seconds), json.loads(conditions), certificate, key)
        # Its server does not end when it is cancelled (0.9.1 waits for its connections for ever).
        os._exit(0)

    asyncio.run(run())


if __name__ == "__main__":
    main()

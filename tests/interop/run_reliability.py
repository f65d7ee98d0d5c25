"""run_reliability.py --server PEER --client PEER …: reliable messages both ways between two real programs.

PEER is `ours` (reliability_peer.c) or `pywebtransport-0.9.1`. Each sends COUNT messages through the link simulator,
which loses 10 % each way. Each must receive all COUNT messages of the other, unchanged and once, and must get an
acknowledgement for all its own. Exits 0 only then. Its children never outlive it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile

from run_pair import Failure, Peer

HERE = pathlib.Path(__file__).parent
REFERENCE = "pywebtransport-0.9.1"
CONDITIONS = {"loss": 0.1}
LEAST_LOSS = 0.05  # the link must have lost at least this, otherwise the test proves nothing


class Talker(Peer):
    """A peer with an open standard input. It ends when the input is closed."""

    def __init__(self, name: str, command: list[str]) -> None:
        super().__init__(name, command, stdin=subprocess.PIPE)

    def tell(self, **command: object) -> None:
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def let_go(self) -> None:
        self.process.stdin.close()


def run(arguments: argparse.Namespace, folder: str, children: list[Peer]) -> None:
    python = pathlib.Path(arguments.tools) / "interop" / REFERENCE / "bin" / "python"
    if not python.exists():
        raise Failure(f"{REFERENCE} is not installed ({python} is missing): run tests/interop/setup.sh")
    program = {"ours": [arguments.ours], REFERENCE: [str(python), str(HERE / "pywebtransport_reliability_peer.py")]}

    def start(name: str, command: list[str]) -> Talker:
        children.append(Talker(name, command))
        return children[-1]

    command = [*program[arguments.server], "server", str(arguments.count)]
    if arguments.server == REFERENCE:
        subprocess.run([str(python), str(HERE / "make_certificate.py"), folder], check=True, timeout=60)
        command += [f"{folder}/certificate.pem", f"{folder}/key.pem"]
    server = start(f"server {arguments.server}", command)
    port = server.wait_for("listening", 60)["port"]
    link = start("link", [arguments.simulator, f"127.0.0.1:{port}", str(arguments.seed)])
    port = link.wait_for("listening", 60)["port"]
    link.tell(command="set", direction="both", **CONDITIONS)
    link.wait_for("set", 60)
    url = f"https://127.0.0.1:{port}/reliability"
    client = start(f"client {arguments.client}", [*program[arguments.client], "client", url, str(arguments.count)])

    peers = (server, client)
    for peer in peers:
        kinds = {}
        # It may print them in either order.
        while len(kinds) < 2:
            event = peer.wait_for_any({"received", "settled"}, arguments.seconds)
            kinds[event["event"]] = event
        received, settled = kinds["received"], kinds["settled"]
        if (received["messages"], received["doubled"], received["wrong"]) != (arguments.count, 0, 0):
            raise Failure(f"{peer.name}: {received}")
        if (settled["acknowledged"], settled["doubled"]) != (arguments.count, 0):
            raise Failure(f"{peer.name}: {settled}")
    link.tell(command="counters")
    counters = link.wait_for("counters", 60)
    for direction in ("up", "down"):
        if counters[direction]["lost_random"] < LEAST_LOSS * counters[direction]["received"]:
            raise Failure(f"the link lost too little: {counters[direction]}")
    for peer in peers:
        peer.let_go()
    for peer in peers:
        if peer.wait_exit(60) != 0:
            raise Failure(f"{peer.name}: exit code {peer.process.returncode}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, choices=("ours", REFERENCE))
    parser.add_argument("--client", required=True, choices=("ours", REFERENCE))
    parser.add_argument("--ours", required=True, help="the program made from reliability_peer.c")
    parser.add_argument("--simulator", required=True, help="the link simulator's program")
    parser.add_argument("--tools", default=str(HERE.parent.parent / ".tools"))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=150)
    arguments = parser.parse_args()

    children: list[Peer] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(arguments, folder, children)
        print(f"passed: {arguments.count} messages each way, server {arguments.server}, client {arguments.client}")
        return 0
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    finally:
        for child in children:
            child.kill()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # at ctest's timeout, so that `finally` runs
    sys.exit(main())

"""run_pair.py --peer NAME --role server|client --ours PROGRAM [--result FILE] -- COMMAND…: the echo test with a peer.

NAME is in peers.py, COMMAND starts the peer's program, and the role is the peer's. The server runs once. The client
connects three times: it exchanges all payloads and closes the session itself, it is refused, and it exchanges a few
payloads and asks the server to close. Exits 0 only if all works as peers.py says, and no better. Then FILE has the
outcome of each row of the page (page.py). The children never outlive this program.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import echo_test
import peers

HERE = pathlib.Path(__file__).parent
CLIENT_CLOSE = (4711, "the client says good-bye, grüezi")
SERVER_CLOSE = (1234567, "the server says good-bye, adiós")
PATH = "/echo/now?x=1"
FEW = 100
OFFERED, SELECTED = ["other", "echo"], "echo"
SILENCE_S = 5  # a peer that says nothing for so long will say nothing
LARGE_BYTES = 1000  # the largest datagram is larger than every payload


class Failure(Exception):
    """The test failed; the text says where. `seen` is what a peer said instead."""

    def __init__(self, text: str, seen: dict | None = None) -> None:
        super().__init__(text)
        self.seen = seen or {}


def die_with_parent() -> None:
    """In the child: makes the system kill it when the runner ends in any way (PR_SET_PDEATHSIG; Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Peer:
    """A child. Its JSON lines are read when they arrive, and all its output is repeated with its name in front."""

    def __init__(self, name: str, command: list[str], stdin: int = subprocess.DEVNULL) -> None:
        self.name = name
        self._incoming: queue.Queue[dict | None] = queue.Queue()
        print(f"[{name}] $ {' '.join(command)}", flush=True)
        try:
            self.process = subprocess.Popen(
                command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                encoding="utf-8", errors="replace", preexec_fn=die_with_parent,
            )
        except FileNotFoundError as error:
            raise Failure(f"{error}: run scripts/setup") from None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            print(f"[{self.name}] {line.rstrip()}", flush=True)
            with contextlib.suppress(json.JSONDecodeError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    self._incoming.put(event)
        self._incoming.put(None)

    def wait_for(self, kind: str, seconds: float) -> dict:
        """Returns the next event of this kind. An error event or the end of the program is a failure."""
        return self.wait_for_any({kind}, seconds)

    def wait_for_any(self, kinds: set[str], seconds: float) -> dict:
        """Like wait_for, for several kinds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                event = self._incoming.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failure(f"{self.name}: no {kinds} within {seconds} s") from None
            if event is None:
                raise Failure(f"{self.name}: ended (exit code {self.process.wait()}) before {kinds}")
            if event["event"] in kinds:
                return event
            if event["event"] in {"error", "refused"}:
                raise Failure(f"{self.name}: {event}", event)

    def wait_exit(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: still running {seconds} s after it should have ended") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(2)


class Children:
    """Starts both programs of a pair, and ends them."""

    def __init__(self, arguments: argparse.Namespace, folder: pathlib.Path) -> None:
        self._arguments = arguments
        self._children: list[Peer] = []
        made = [sys.executable, str(HERE / "make_certificate.py"), str(folder)]
        self._hash = subprocess.run(made, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
        self._identity = ["--certificate", str(folder / "certificate.pem"), "--key", str(folder / "key.pem")]

    def _start(self, role: str, *options: str) -> Peer:
        ours = role != self._arguments.role
        name, command = ("ours", [self._arguments.ours]) if ours else (self._arguments.peer, self._arguments.command)
        self._children.append(Peer(f"{role} {name}", [*command, role, *options]))
        return self._children[-1]

    def server(self, *options: str) -> Peer:
        code, reason = SERVER_CLOSE
        close = ["--close-code", str(code), "--close-reason", reason]
        return self._start("server", *self._identity, *close, "--seconds", str(self._arguments.seconds), *options)

    def client(self, port: int, path: str, *options: str) -> Peer:
        code, reason = CLIENT_CLOSE
        close = ["--close-code", str(code), "--close-reason", reason]
        more = [*close, "--seconds", str(self._arguments.seconds // 2), *options]
        return self._start("client", f"https://127.0.0.1:{port}{path}", "--hash", self._hash, *more)

    def kill(self) -> None:
        for child in self._children:
            child.kill()


class Pair:
    """The test of a pair. It collects the outcome of each row."""

    def __init__(self, arguments: argparse.Namespace, children: Children) -> None:
        self.peer = peers.PEERS[arguments.peer]
        self.role = arguments.role
        self.version: str | None = None
        self.rows: dict[str, dict] = {}
        self._arguments = arguments
        self._children = children

    def _patience(self, row: str) -> float:
        """How long to wait for a report. It is known which peers make none."""
        shortcoming = self.peer.shortcomings.get((self.role, row))
        return 90 if shortcoming is None or shortcoming.sees else SILENCE_S

    def judge(self, row: str, check: Callable[[], None]) -> bool:
        """Notes whether the check passes. That it does not must be in peers.py, and what was seen instead."""
        shortcoming = self.peer.shortcomings.get((self.role, row))
        try:
            check()
        except Failure as failure:
            if shortcoming is None:
                raise
            print(f"known: {row}: {failure}", flush=True)
            if not shortcoming.sees.items() <= failure.seen.items():
                raise Failure(f"{row}: expected to see {shortcoming.sees}: {failure}") from None
            self.rows[row] = {"works": False, "reason": shortcoming.reason}
            return False
        if shortcoming is not None:
            raise Failure(f"{row} works now: remove it from the shortcomings in peers.py")
        self.rows[row] = {"works": True}
        return True

    def run(self) -> None:
        ours_serves = self.role == "client"
        options = ["--sessions", "2"] if ours_serves else []
        server = self._children.server(*options, *self._subprotocol("--protocol", SELECTED))
        listening = server.wait_for("listening", 60)
        self._note_version("server", listening)
        port = listening["port"]

        client = self._children.client(
            port, PATH, "--closer", "client", "--count", str(self._arguments.count),
            *self._subprotocol("--protocols", ",".join(OFFERED)),
        )
        if not self._session(server, client):
            return
        self.judge("echoes", lambda: self._check_echoes(client, self._arguments.count))
        self.judge("largest", lambda: check_largest(client))
        self.judge("empty", lambda: check_no_problem(client, "empty"))
        self._close("client", server, client)
        self._refuse(port)

        client = self._children.client(port, PATH, "--closer", "server", "--count", str(FEW))
        check_path(server)
        self._check_echoes(client, FEW)
        self._close("server", server, client)

        if ours_serves and server.wait_exit(60) != 0:
            raise Failure(f"our server: exit code {server.process.returncode}")

    def _subprotocol(self, option: str, value: str) -> list[str]:
        return [option, value] if self.peer.subprotocols is True else []

    def _note_version(self, role: str, event: dict) -> None:
        if role == self.role:
            self.version = event["version"]

    def _session(self, server: Peer, client: Peer) -> bool:
        """Waits for both ends' reports of the session. Returns False if it is known that there is none."""

        def both() -> None:
            event = client.wait_for_any({"session", "refused"}, 90)
            self._note_version("client", event)
            if event["event"] == "refused":
                raise Failure(f"{client.name}: {event}", event)
            path = check_path(server)
            if self.peer.subprotocols is True:
                self.judge("subprotocol", lambda: check_subprotocols(event, path))

        if self.judge("session", both):
            self.rows.setdefault("subprotocol", {"works": None, "reason": self.peer.subprotocols})
            return True
        self.rows = {row: self.rows["session"] for row in peers.ROWS}
        return False

    def _check_echoes(self, client: Peer, count: int) -> None:
        echoes = client.wait_for("echoes", self._arguments.seconds / 2 + 15)
        if echoes["returned"] != count or echoes["wanted"] != count or echoes["problem"] is not None:
            raise Failure(f"{client.name}: {echoes}")

    def _close(self, closer: str, server: Peer, client: Peer) -> None:
        """Checks what both sides report about a close by `closer`."""
        code, reason = CLIENT_CLOSE if closer == "client" else SERVER_CLOSE
        closing, watching = (client, server) if closer == "client" else (server, client)
        row = "its_close" if closer == self.role else "our_close"

        def check() -> None:
            seen = watching.wait_for("closed", self._patience(row))
            if (seen["by"], seen["code"], seen["reason"]) != ("peer", code, reason):
                raise Failure(f"{watching.name}: a close with {code}, '{reason}' was seen as {seen}", seen)

        works = self.judge(row, check)
        # Our side must also report the end of a session that it closed itself.
        if closer != self.role and closing.wait_for("closed", 60)["by"] != "local":
            raise Failure(f"{closing.name} closed the session itself and saw another close")
        # A client that sees no close reports that as an error. Any other client must succeed.
        if (works or watching is server) and client.wait_exit(60) != 0:
            raise Failure(f"{client.name}: exit code {client.process.returncode}")

    def _refuse(self, port: int) -> None:
        """The server refuses a request. The client must report the status."""
        client = self._children.client(port, echo_test.REFUSED_PATH, "--count", "1")

        def check() -> None:
            seen = client.wait_for("refused", self._patience("rejection"))
            if seen["status"] != 404:
                raise Failure(f"{client.name}: status 404 was seen as {seen}", seen)

        self.judge("rejection", check)
        client.kill()

    def result(self) -> dict:
        rows = {row: self.rows[row] for row in peers.ROWS}
        return {"peer": self._arguments.peer, "role": self.role, "version": self.version, "rows": rows}


def check_no_problem(client: Peer, kind: str) -> dict:
    event = client.wait_for(kind, 60)
    if event["problem"] is not None:
        raise Failure(f"{client.name}: {event}", event)
    return event


def check_largest(client: Peer) -> None:
    largest = check_no_problem(client, "largest")
    if min(largest["sent"], largest["received"]) < LARGE_BYTES:
        raise Failure(f"{client.name}: {largest}", largest)


def check_path(server: Peer) -> dict:
    event = server.wait_for("session", 60)
    # Peers differ in whether their path contains the query.
    if event["path"] not in (PATH, PATH.partition("?")[0]) or (server.name == "server ours" and event["path"] != PATH):
        raise Failure(f"{server.name}: path {event['path']}, expected {PATH}")
    return event


def check_subprotocols(*events: dict) -> None:
    for event in events:
        if event["protocol"] != SELECTED:
            raise Failure(f"the subprotocol {SELECTED} was seen as {event}", event)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", required=True, choices=peers.PEERS)
    parser.add_argument("--role", required=True, choices=("server", "client"))
    parser.add_argument("--ours", required=True, help="the program made from ours/")
    parser.add_argument("--result", type=pathlib.Path, help="the file for the outcome")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    if arguments.result:
        arguments.result.unlink(missing_ok=True)

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        children = Children(arguments, pathlib.Path(folder))
        stack.callback(children.kill)
        pair = Pair(arguments, children)
        try:
            pair.run()
        except Failure as failure:
            print(f"FAILED: {failure}")
            return 1
        print(f"as expected: {json.dumps(pair.result(), indent=2)}")
        if arguments.result:
            arguments.result.parent.mkdir(parents=True, exist_ok=True)
            arguments.result.write_text(json.dumps(pair.result(), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # at ctest's timeout, so that the children are ended
    sys.exit(main())

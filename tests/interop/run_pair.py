"""run_pair.py --server PEER --client PEER …: one echo test between two real programs.

PEER is `ours` (peer.c), `wtransport` (wtransport_peer.rs) or `pywebtransport-VERSION`. The server runs once. The
client connects twice: first it exchanges all payloads and closes the session itself, then it exchanges a few and asks
the server to close. Each side must have seen the other's code and reason, as far as that peer can (see
SHOWS_OUR_CLOSE). Exits 0 only if everything was as expected. Its children never outlive it.
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

HERE = pathlib.Path(__file__).parent
CLIENT_CLOSE = (4711, "the client says good-bye, grüezi")
SERVER_CLOSE = (1234567, "the server says good-bye, adiós")
PATH = "/echo/now?x=1"
FEW = 100

# What the peer (not our side) reports about a close that our side did: code and reason, only that it is closed, or
# nothing. pywebtransport 0.6 and 0.9 accept capsules only without DATA frames. RFC 9297 requires DATA frames, and they
# answer these with a connection error. 0.6 as client does not even report that to its user.
SHOWS_OUR_CLOSE = {
    "ours": "code",
    "wtransport": "code",
    "pywebtransport-0.21.1": "code",
    "pywebtransport-0.9.1": "closed",
    "pywebtransport-0.6.1": "nothing",
}


class Failure(Exception):
    """The test failed; the text says where."""


def die_with_parent() -> None:
    """In the child: makes the system kill it when the runner ends in any way (PR_SET_PDEATHSIG; Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Peer:
    """A child. Its JSON lines are read when they arrive, and all its output is repeated with its name in front."""

    def __init__(self, name: str, command: list[str], stdin: int = subprocess.DEVNULL) -> None:
        self.name = name
        self.events: list[dict] = []
        self._incoming: queue.Queue[dict | None] = queue.Queue()
        print(f"[{name}] $ {' '.join(command)}", flush=True)
        self.process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", errors="replace", preexec_fn=die_with_parent,
        )
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
            self.events.append(event)
            if event["event"] == "error":
                raise Failure(f"{self.name}: {event}")
            if event["event"] in kinds:
                return event

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


class Commands:
    """The commands that start each peer."""

    def __init__(self, arguments: argparse.Namespace, certificates: pathlib.Path) -> None:
        self._arguments = arguments
        self._certificates = certificates

    def _python(self, peer: str) -> str:
        python = pathlib.Path(self._arguments.tools) / "interop" / peer / "bin" / "python"
        if not python.exists():
            raise Failure(f"{peer} is not installed ({python} is missing): run tests/interop/setup.sh")
        return str(python)

    def _program(self, peer: str) -> list[str]:
        if peer == "ours":
            return [self._arguments.ours]
        if peer == "wtransport":
            return [self._arguments.wtransport]
        return [self._python(peer), str(HERE / "pywebtransport_peer.py")]

    def server(self, peer: str) -> tuple[list[str], str | None]:
        """The command, and the certificate's hash if the server does not print it."""
        code, reason = SERVER_CLOSE
        command = [*self._program(peer), "server", "--close-code", str(code), "--close-reason", reason]
        command += ["--seconds", str(self._arguments.seconds)]
        if peer == "ours":
            return [*command, "--sessions", "2"], None
        if peer == "wtransport":
            return command, None
        made = subprocess.run(
            [self._python("pywebtransport-0.6.1"), str(HERE / "make_certificate.py"), str(self._certificates)],
            check=True, capture_output=True, text=True, timeout=60,
        )
        command += ["--certificate", str(self._certificates / "certificate.pem")]
        return [*command, "--key", str(self._certificates / "key.pem")], made.stdout.strip()

    def client(self, peer: str, port: int, certificate_hash: str | None, closer: str, count: int) -> list[str]:
        code, reason = CLIENT_CLOSE
        command = [*self._program(peer), "client", f"https://127.0.0.1:{port}{PATH}", "--count", str(count)]
        command += ["--closer", closer, "--seconds", str(self._arguments.seconds // 2)]
        if closer == "client":
            command += ["--close-code", str(code), "--close-reason", reason]
        if not peer.startswith("pywebtransport"):
            if certificate_hash is None:
                raise Failure("the server did not say its certificate's hash")
            command += ["--hash", certificate_hash]
        return command


def check_close(who: str, seen: dict, expected: tuple[int, str], closer: str, watcher: str) -> None:
    """Checks `seen`: what `watcher` printed about a close by `closer` with the expected code and reason."""
    code, reason = expected
    precise = SHOWS_OUR_CLOSE[watcher] == "code"
    if watcher == "ours" and closer == "wtransport":
        # It closes QUIC with the session's code as the QUIC error and without a capsule, so this is not the session's
        # code.
        shown = (seen.get("transport_error") if seen.get("by") == "transport" else seen.get("code"), seen.get("reason"))
        right = shown == expected
    else:
        right = seen.get("by") == "peer"
        if precise:
            right = right and (seen.get("code"), seen.get("reason")) == expected
    if not right:
        raise Failure(f"{who}: expected a close by {closer} with {code}, '{reason}', and saw {seen}")


def check_echoes(client: Peer, count: int, seconds: float) -> None:
    echoes = client.wait_for("echoes", seconds)
    if echoes["returned"] != count or echoes["wanted"] != count or echoes["problem"] is not None:
        raise Failure(f"{client.name}: {echoes}")


def check_session(server: Peer) -> None:
    path = server.wait_for("session", 60)["path"]
    # wtransport and pywebtransport differ in whether their path contains the query.
    if path not in (PATH, PATH.partition("?")[0]) or (server.name == "server ours" and path != PATH):
        raise Failure(f"{server.name}: path {path}, expected {PATH}")


def run(arguments: argparse.Namespace, commands: Commands, children: list[Peer]) -> None:
    def start(role: str, kind: str, command: list[str]) -> Peer:
        children.append(Peer(f"{role} {kind}", command))
        return children[-1]

    command, certificate_hash = commands.server(arguments.server)
    server = start("server", arguments.server, command)
    listening = server.wait_for("listening", 60)
    certificate_hash = certificate_hash or listening.get("hash")

    for closer, count in (("client", arguments.count), ("server", FEW)):
        command = commands.client(arguments.client, listening["port"], certificate_hash, closer, count)
        client = start("client", arguments.client, command)
        check_session(server)
        check_echoes(client, count, arguments.seconds / 2 + 15)
        watcher = server if closer == "client" else client
        kinds = (arguments.client, arguments.server)
        closing, watching = kinds if closer == "client" else kinds[::-1]
        expected = CLIENT_CLOSE if closer == "client" else SERVER_CLOSE
        if SHOWS_OUR_CLOSE[watching] != "nothing":
            check_close(watcher.name, watcher.wait_for("closed", 60), expected, closing, watching)
        # Our side must also report the end of a session that it closed itself.
        if closing == "ours":
            local = client if closer == "client" else server
            if (seen := local.wait_for("closed", 60)).get("by") != "local":
                raise Failure(f"{local.name} closed the session itself and saw {seen}")
        # A client that gets no report of a close waits for one forever, and is killed. Any other client must succeed.
        if not (watcher is client and SHOWS_OUR_CLOSE[watching] == "nothing") and client.wait_exit(60) != 0:
            raise Failure(f"{client.name}: exit code {client.process.returncode}")
        client.kill()

    if arguments.server == "ours" and server.wait_exit(60) != 0:
        raise Failure(f"our server: exit code {server.process.returncode}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, choices=SHOWS_OUR_CLOSE)
    parser.add_argument("--client", required=True, choices=SHOWS_OUR_CLOSE)
    parser.add_argument("--ours", help="the program made from peer.c")
    parser.add_argument("--wtransport", help="the program made from wtransport_peer.rs")
    parser.add_argument("--tools", default=str(HERE.parent.parent / ".tools"))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=90)
    arguments = parser.parse_args()

    children: list[Peer] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(arguments, Commands(arguments, pathlib.Path(folder)), children)
        print(f"passed: server {arguments.server}, client {arguments.client}, {arguments.count} echoes, both closes")
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

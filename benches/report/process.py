"""Runs the two ends of a measurement, and what disturbs them."""

import contextlib
import json
import os
import subprocess
import sys
import threading

from .settings import SECONDS


class Process:
    """A process whose output is read and whose CPU time is known when it ends."""

    def __init__(self, command, environment=None, **more):
        self.command = [str(part) for part in command]
        self.child = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True,
                                      env={**os.environ, **(environment or {})}, **more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.returncode is None:
            self.child.kill()
            self.child.wait()

    def line(self):
        """The next line of its output."""
        line = self.child.stdout.readline()
        if not line:
            self.child.kill()
            sys.exit(f"bench: {' '.join(self.command)} ended without a word")
        return line

    def listening(self):
        """A server's port and certificate hash."""
        word, port, certificate_hash = self.line().split()
        assert word == "LISTENING", word
        return port, certificate_hash

    def cpu_s(self):
        """CPU seconds so far, to a hundredth."""
        with open(f"/proc/{self.child.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def finish(self, timeout_s):
        """The JSON of its last line, with the CPU seconds and voluntary switches of the whole process."""
        expired = threading.Event()

        def kill():
            expired.set()
            self.child.kill()

        watch = threading.Timer(timeout_s, kill)
        watch.start()
        output = self.child.stdout.read()
        # Not Popen.wait: only wait4 tells this one child's CPU time.
        _, status, usage = os.wait4(self.child.pid, 0)
        watch.cancel()
        self.child.returncode = os.waitstatus_to_exitcode(status)
        if expired.is_set() or self.child.returncode != 0:
            sys.exit(f"bench: {' '.join(self.command)} " +
                     ("did not end" if expired.is_set() else f"ended with {self.child.returncode}"))
        result = json.loads(output.splitlines()[-1])
        result["cpu_s"] = usage.ru_utime + usage.ru_stime
        result["switches"] = usage.ru_nvcsw
        return result


def run_pair(receiver_command, sender_command, size, environments=({}, {}), seconds=SECONDS):
    """Starts the receiver, points the sender at it, and waits for both."""
    with Process(receiver_command, environments[0]) as receiver:
        target = receiver.listening()
        with Process([*sender_command, *target, size, seconds], environments[1]) as sender:
            sent = sender.finish(seconds * 1.1 + 20)
        return receiver.finish(45), sent


@contextlib.contextmanager
def busy_threads(count, limit_s=120):
    """Other work on the machine: processes that spin, each with one thread. They end by themselves if we do not end them."""
    spin = f"import time\nend = time.monotonic() + {limit_s}\nwhile time.monotonic() < end: pass"
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(Process([sys.executable, "-c", spin]))
        yield

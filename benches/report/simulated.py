"""The seeded link of tests/support/simulator between the two ends of a measurement."""

import json
import subprocess

from . import build
from .process import Process


class Link(Process):
    """A running link simulator. Clients connect to `port`."""

    def __init__(self, server_port, seed, conditions):
        command = [build.link_simulator(), f"127.0.0.1:{server_port}", seed]
        super().__init__(command, stdin=subprocess.PIPE)
        self.port = json.loads(self.line())["port"]
        self.ask({"command": "set", "direction": "both", **conditions})

    def ask(self, command):
        self.child.stdin.write(json.dumps(command) + "\n")
        self.child.stdin.flush()
        answer = json.loads(self.line())
        assert answer["event"] == command["command"], answer
        return answer

    def lost_share(self):
        """Of all packets so far."""
        counters = self.ask({"command": "counters"})
        ways = [counters["up"], counters["down"]]
        lost = sum(way["lost_random"] + way["queue_full"] for way in ways)
        return lost / max(sum(way["received"] for way in ways), 1)


def run_over_link(server_command, client_command, arguments, seed, conditions, timeout_s):
    """What both ends report, the server first, and the share of packets that the link lost."""
    with Process(server_command) as server:
        port, certificate_hash = server.listening()
        with Link(port, seed, conditions) as link:
            with Process([*client_command, link.port, certificate_hash, *arguments]) as client:
                asked = client.finish(timeout_s)
            answered = server.finish(timeout_s)
            return answered, asked, link.lost_share()

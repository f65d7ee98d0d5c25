"""Many idle sessions, both ends in processes of their own: the memory of one, the time until all are established, and the CPU time
of keep-alive packets every 10 s. Then one program thread echoes for many sessions on one poller."""

import os
import time

from . import build
from .process import Process
from .settings import QUICK, wanted
from .summary import medians

MANY = int(os.environ.get("WTGRAM_BENCH_IDLE_SESSIONS", "1000" if QUICK else "10000"))
IDLE_S = 12 if QUICK else 30
BUSY = 200 if QUICK else 2000
RATE = 50
BUSY_S = 5 if QUICK else 60
SIZE = 64
PATIENCE_S = 300


class Idle:
    """The C interface, on one lane and on two."""

    name = "idle"

    def __init__(self):
        self.paths = wanted({f"{MANY}-idle-1-lane": 1, f"{MANY}-idle-2-lanes": 2, f"{BUSY}-echo-1-lane": 1}, set())
        self.rounds = {path: [] for path in self.paths}

    def round(self, number):
        # Once is enough for memory, and a round takes minutes.
        if number == 1:
            for path, lanes in self.paths.items():
                self.rounds[path].append(self.idle(lanes) if "idle" in path else self.busy(lanes))

    @staticmethod
    def ends(lanes, sessions, rate, time_s):
        program = build.c()
        server = Process([program, "crowd-server", lanes, sessions])
        target = [*server.listening(), SIZE, time_s]
        clients = [Process([program, "crowd-client", network, sessions // 2, rate, *target]) for network in (1, 2)]
        assert [end.line().strip() for end in (server, *clients)] == ["READY"] * 3
        return server, clients

    def idle(self, lanes):
        server, clients = self.ends(lanes, MANY, 0, IDLE_S)
        began, before_s = time.monotonic(), server.cpu_s()
        time.sleep(IDLE_S - 2)
        cpu_share = (server.cpu_s() - before_s) / (time.monotonic() - began)
        for client in clients:
            client.finish(IDLE_S + PATIENCE_S)
        served = server.finish(PATIENCE_S)
        return {"sessions": served["accepted"], "up_s": served["up_s"], "bytes_per_session": served["bytes_per_session"],
                "cpu_share": cpu_share}

    def busy(self, lanes):
        server, clients = self.ends(lanes, BUSY, RATE, BUSY_S)
        before_s = server.cpu_s()
        done = [client.finish(BUSY_S + PATIENCE_S) for client in clients]
        served = server.finish(PATIENCE_S)
        echoes = sum(end["echoes"] for end in done)
        return {"sessions": served["accepted"], "echoes_per_s": echoes / BUSY_S,
                "lost": sum(end["sent"] for end in done) - echoes,
                "p50_us": max(end["p50_us"] for end in done), "p99_us": max(end["p99_us"] for end in done),
                "server_cpu_us_per_echo": (served["cpu_s"] - before_s) * 1e6 / max(echoes, 1)}

    def finish(self):
        pass

    def rows(self):
        return [{"subject": self.name, "path": path, "size_bytes": SIZE, **medians(rounds), "rounds": rounds}
                for path, rounds in self.rounds.items()]

    def print(self, rows):
        print("many sessions at one server")
        for row in rows:
            if "idle" in row["path"]:
                print(f"{row['path']:<24}{row['sessions']:>8.0f} sessions, all up after {row['up_s']:.1f} s, "
                      f"{row['bytes_per_session'] / 1000:.1f} KB each, {row['cpu_share']:.1%} of a CPU while idle")
            else:
                print(f"{row['path']:<24}{row['sessions']:>8.0f} sessions, {row['echoes_per_s']:,.0f} echoes/s, "
                      f"{row['lost']:.0f} lost, p50 {row['p50_us']:,.0f} µs, p99 {row['p99_us']:,.0f} µs, "
                      f"{row['server_cpu_us_per_echo']:.2f} µs of the server's CPU each")

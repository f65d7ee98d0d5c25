"""A server on one lane and on two: 200 sessions of two client processes that each send 50 datagrams a second and get them back,
alone and beside 200 handshakes a second. One thread of the server's program echoes, on one poller."""

from . import build
from .process import Process
from .settings import QUICK, wanted
from .summary import medians, paired

SESSIONS_EACH = 100
RATE = 50
VISITS_PER_S = 200
SIZE = 64
TIME_S = 2 if QUICK else 5
# To connect, and for the farewells.
PATIENCE_S = 120


class Crowd:
    """The C interface, on one lane and on two."""

    name = "lanes"

    def __init__(self):
        paths = {f"{lanes}-lane{'s' * (lanes > 1)}{visits}": (lanes, bool(visits))
                 for visits in ("", "-visited") for lanes in (1, 2)}
        self.paths = wanted(paths, {"1-lane", "1-lane-visited"})
        self.rounds = {path: [] for path in self.paths}

    def round(self, _):
        for path, (lanes, visited) in self.paths.items():
            self.rounds[path].append(self.measure(lanes, visited))

    @staticmethod
    def measure(lanes, visited):
        program = build.c()
        with Process([program, "crowd-server", lanes, 2 * SESSIONS_EACH]) as server:
            target = [*server.listening(), SIZE, TIME_S]
            clients = [Process([program, "crowd-client", network, SESSIONS_EACH, RATE, *target]) for network in (1, 2)]
            assert [end.line().strip() for end in (server, *clients)] == ["READY"] * 3
            before_s = server.cpu_s()
            visitors = [Process([program, "visitors", 3, VISITS_PER_S, *target])] if visited else []
            visits = [one.finish(TIME_S + PATIENCE_S) for one in visitors]
            ends = [client.finish(TIME_S + PATIENCE_S) for client in clients]
            served = server.finish(PATIENCE_S)
        sent, echoes = (sum(end[name] for end in ends) for name in ("sent", "echoes"))
        worst = {name: max(end[name] for end in ends) for name in ("p50_us", "p99_us", "p999_us")}
        return {"echoes_per_s": echoes / TIME_S, "lost": sent - echoes, **worst,
                "server_cpu_us_per_echo": (served["cpu_s"] - before_s) * 1e6 / max(echoes, 1),
                "visits": sum(visit["visits"] for visit in visits), "failed": sum(visit["failed"] for visit in visits),
                "visit_p99_ms": max((visit["p99_us"] / 1000 for visit in visits), default=0)}

    def finish(self):
        pass

    def rows(self):
        rows = []
        for path, rounds in self.rounds.items():
            alone = self.rounds[path.replace("2-lanes", "1-lane")]
            ratios = {f"{name}_ratio_to_one": paired(rounds, alone, name)
                      for name in ("p50_us", "p99_us", "p999_us", "server_cpu_us_per_echo")}
            rows.append({"subject": self.name, "path": path, "size_bytes": SIZE, **medians(rounds), **ratios,
                         "rounds": rounds})
        return rows

    def print(self, rows):
        print(f"{2 * SESSIONS_EACH} sessions echo, {RATE} datagrams a second each; visited: beside {VISITS_PER_S} handshakes a "
              f"second; ratios to one lane\n{'path':<20}{'echoes/s':>10}{'lost':>6}{'p50 µs':>9}{'ratio':>7}{'p99 µs':>10}"
              f"{'ratio':>7}{'p99.9 µs':>10}{'ratio':>7}{'server cpu µs':>15}{'ratio':>7}{'visits':>8}{'failed':>8}{'p99 ms':>9}")
        for row in rows:
            print(f"{row['path']:<20}{row['echoes_per_s']:>10,.0f}{row['lost']:>6.0f}"
                  f"{row['p50_us']:>9,.0f}{row['p50_us_ratio_to_one']:>7.2f}{row['p99_us']:>10,.0f}"
                  f"{row['p99_us_ratio_to_one']:>7.2f}{row['p999_us']:>10,.0f}{row['p999_us_ratio_to_one']:>7.2f}"
                  f"{row['server_cpu_us_per_echo']:>15.2f}{row['server_cpu_us_per_echo_ratio_to_one']:>7.2f}"
                  f"{row['visits']:>8.0f}{row['failed']:>8.0f}{row['visit_p99_ms']:>9.1f}")

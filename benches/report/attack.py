"""A session that echoes and honest clients that come and go, at one server, with and without a flood of connections beside
them that never ask for a session. The flood, the clients and both ends of the session share the machine's processors, so what
the flood costs is seen beside the same flood without its target: its own work, at a server that nobody measures."""

import time

from . import build
from .process import Process
from .settings import QUICK, wanted
from .summary import medians, number, paired

SIZE = 64
TIME_S = 2 if QUICK else 5
QUIET, ELSEWHERE, HERE = "quiet", "flood elsewhere", "flood here"


class Attack:
    """The C interface, in three conditions."""

    name = "attack"

    def __init__(self):
        self.paths = {path: build.c() for path in wanted(dict.fromkeys((QUIET, ELSEWHERE, HERE)), {QUIET})}
        self.rounds = {path: [] for path in self.paths}

    def round(self, _):
        for path, program in self.paths.items():
            self.rounds[path].append(self.measure(program, path))

    @staticmethod
    def measure(program, path):
        peers = build.peers()
        serve = [program, "echo-server", "as-shipped"]
        with Process(serve) as server, Process(serve) as other:
            here, elsewhere = server.listening(), other.listening()
            with Process([program, "echo-client", "as-shipped", *here, SIZE, TIME_S]) as client:
                # The session is the first that the server accepts.
                time.sleep(0.5)
                beside = [Process([peers, "visit", *here, SIZE, TIME_S])]
                if path != QUIET:
                    beside.append(Process([peers, "knock", *(here if path == HERE else elsewhere), SIZE, TIME_S]))
                visits, *floods = [process.finish(TIME_S + 60) for process in beside]
                echoes = client.finish(TIME_S * 1.1 + 60)
            server.finish(45)
        return {"trips_per_s": echoes["round_trips"] / TIME_S, "p99_us": echoes["p99_us"], "lost": echoes["lost"],
                "visits": visits["visits"], "failed_visits": visits["failed"], "visit_p50_ms": visits["p50_ms"],
                "visit_p99_ms": visits["p99_ms"],
                "flood_per_s": sum(flood["connected"] for flood in floods) / TIME_S}

    def finish(self):
        pass

    def rows(self):
        baseline = self.rounds.get(ELSEWHERE) or self.rounds[QUIET]
        return [{"subject": self.name, "path": path, "size_bytes": SIZE, **medians(rounds),
                 "trips_ratio_to_flood_elsewhere": paired(rounds, baseline, "trips_per_s"), "rounds": rounds}
                for path, rounds in self.rounds.items()]

    def print(self, rows):
        print(f"{'a session, and honest clients':<32}{'trips/s':>10}{'ratio':>7}{'p99 µs':>10}{'lost':>6}"
              f"{'in p50 ms':>11}{'p99 ms':>9}{'failed':>8}{'flood/s':>9}")
        for row in rows:
            print(f"{row['path']:<32}{row['trips_per_s']:>10,.0f}{number(row['trips_ratio_to_flood_elsewhere'], 7)}"
                  f"{row['p99_us']:>10,.0f}{row['lost']:>6.0f}{row['visit_p50_ms']:>11.1f}{row['visit_p99_ms']:>9.1f}"
                  f"{row['failed_visits']:>8.0f}{row['flood_per_s']:>9,.0f}")

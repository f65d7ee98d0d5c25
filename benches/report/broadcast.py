"""One datagram to many sessions of one process, wtgram's broadcaster beside a raw quinn loop, and what an idle session weighs.

The server is one process: the application's thread and one thread that runs the protocol. All members are in another one, which
yields the processor to it (nice 19).

  last     from the call until the last member's datagram is with QUIC. quinn-thread: the application's thread goes through the
           connections; quinn-lane: it has the protocol's thread do that, the least a hand-over can take. For wtgram it ends
           when the last wait for a member's `sent` counter ended.
  looked   the same and one look at every member's counter: no less than the truth.
  arrival  from the call until the last member's program has it, in every other broadcast, after which nobody looks."""

import os
import statistics
import sys

from . import build
from .process import Process
from .progress import step
from .settings import QUICK, wanted
from .summary import number

SESSIONS = int(os.environ.get("WTGRAM_BENCH_SESSIONS", "1000"))
BROADCASTS = int(os.environ.get("WTGRAM_BENCH_BROADCASTS", "10" if QUICK else "20"))
SIZE = 100
BASELINE = "quinn-thread"
FIGURES = ("returned_us", "last_us", "looked_us", "arrival_us")


class Broadcast:
    """The broadcaster and both raw quinn loops."""

    name = "broadcast"

    def __init__(self):
        numbers = [SESSIONS, BROADCASTS, SIZE]

        def quinn(form):
            return lambda: ([build.peers(), "broadcast", form, *numbers], [build.peers(), "join"])

        paths = {
            BASELINE: quinn("by-thread"),
            "quinn-lane": quinn("by-lane"),
            "wtgram-broadcast": lambda: ([build.c(), "broadcast", *numbers], [build.c(), "join"]),
        }
        self.paths = {path: commands() for path, commands in wanted(paths, {BASELINE}).items()}
        self.rounds = {path: [] for path in self.paths}

    def round(self, _):
        for path, commands in self.paths.items():
            step(path)
            self.rounds[path].append(self.measure(*commands))

    @staticmethod
    def measure(server_command, members_command):
        with Process(server_command) as server:
            target = server.listening()
            with Process(["nice", "-n", 19, *members_command, *target, SESSIONS]) as members:
                result = server.finish(180)
                arrived = members.finish(60)
        received = arrived["received"]
        if not 0 < received <= SESSIONS * BROADCASTS or len(arrived["last_arrival_us"]) != BROADCASTS:
            sys.exit(f"bench: {server_command[0]}: members received {received} of {SESSIONS * BROADCASTS}")
        return result | {
            "received_share": received / (SESSIONS * BROADCASTS),
            "arrival_us": arrived["last_arrival_us"][1::2],
        }

    def finish(self):
        pass

    def rows(self):
        rows = []
        for path, rounds in self.rounds.items():
            row = {"subject": self.name, "path": path, "sessions": SESSIONS, "size_bytes": SIZE}
            for name in ("idle_bytes_per_session", "received_share", "cpu_s"):
                row[name] = statistics.median(one[name] for one in rounds)
            for name in FIGURES:
                if times := [time for one in rounds for time in one.get(name, [])]:
                    row[name], row[f"{name}_lowest"] = statistics.median(times), min(times)
                    row[f"{name}_ratio_to_quinn"] = self.ratio(rounds, name)
            rows.append(row | {"rounds": rounds})
        return rows

    def ratio(self, rounds, name):
        """The median of the rounds' ratios; what raw quinn has no figure for is held against its last hand-over."""
        ratios = []
        for one, quinn in zip(rounds, self.rounds[BASELINE]):
            other = quinn[name if name == "arrival_us" else "last_us"]
            ratios.append(statistics.median(one[name]) / statistics.median(other))
        return statistics.median(ratios)

    def print(self, rows):
        print(f"broadcasts of {SIZE} bytes to {SESSIONS} sessions, {BROADCASTS} a round\n"
              f"{'path':<18}{'returned µs':>12}{'last µs':>10}{'lowest':>9}{'ratio':>7}{'looked µs':>11}{'ratio':>7}"
              f"{'arrival µs':>12}{'lowest':>9}{'ratio':>7}{'received':>10}{'idle bytes/session':>20}")
        for row in rows:
            print(f"{row['path']:<18}{number(row.get('returned_us'), 12, 0)}{row['last_us']:>10,.0f}"
                  f"{row['last_us_lowest']:>9,.0f}{number(row['last_us_ratio_to_quinn'], 7)}"
                  f"{number(row.get('looked_us'), 11, 0)}{number(row.get('looked_us_ratio_to_quinn'), 7)}"
                  f"{row['arrival_us']:>12,.0f}{row['arrival_us_lowest']:>9,.0f}"
                  f"{number(row['arrival_us_ratio_to_quinn'], 7)}{row['received_share']:>10.2%}"
                  f"{row['idle_bytes_per_session']:>20,.0f}")

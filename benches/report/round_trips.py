"""The round trip of a 64-byte datagram, one at a time.

Every path waits in a blocking call, except wtgram-c-poller: its thread sleeps in its own epoll on the descriptor of a poller,
so that it can do no work of the lane. The busy paths run beside two processes that spin."""

import sys

from . import build
from .process import busy_threads, run_pair
from .progress import step
from .settings import SECONDS, wanted
from .summary import medians, number, paired

SIZE = 64
BASELINE, BUSY_BASELINE = "quinn-plain-echo", "quinn-plain-echo-busy"
# Others that bindings are held against, by the name of the figure.
BESIDE = {"c": "wtgram-c-echo", "webtransport_go": "webtransport-go-echo"}
BINDINGS = ("wtgram-cpp-echo", "wtgram-go-echo")
BUSY_THREADS = 2


def baseline_of(path):
    """Raw quinn under the same conditions."""
    return BUSY_BASELINE if path.endswith("-busy") else BASELINE


class RoundTrips:
    """All paths, quiet and beside other work."""

    name = "round trips"

    def __init__(self):
        def quinn(form):
            return lambda: ([build.peers(), "echo-server", form], [build.peers(), "echo-client", form])

        def in_c(form):
            return lambda: ([build.c(), "echo-server", form], [build.c(), "echo-client", form])

        def binding(program):
            return lambda: ([program(), "echo-server"], [program(), "echo-client"])

        paths = {
            BASELINE: quinn("plain"),
            "quinn-handed-over-echo": quinn("handed-over"),
            "wtgram-c-echo": in_c("as-shipped"),
            "wtgram-c-echo-no-spin": in_c("no-spin"),
            "wtgram-c-echo-poller": in_c("poller"),
            "wtgram-cpp-echo": binding(build.cpp),
            "wtgram-go-echo": binding(build.go),
            "webtransport-go-echo": binding(build.webtransport_go),
            BUSY_BASELINE: quinn("plain"),
            "wtgram-c-echo-busy": in_c("as-shipped"),
        }
        chosen = wanted(paths, {BASELINE, BUSY_BASELINE})
        if not any(path.endswith("-busy") and path != BUSY_BASELINE for path in chosen):
            chosen.pop(BUSY_BASELINE, None)
        self.paths = {path: commands() for path, commands in chosen.items()}
        self.rounds = {path: [] for path in self.paths}

    def round(self, _):
        for path, commands in self.paths.items():
            step(path)
            with busy_threads(BUSY_THREADS if path.endswith("-busy") else 0):
                self.rounds[path].append(self.measure(commands))

    @staticmethod
    def measure(commands):
        answered, asked = run_pair(*commands, SIZE)
        trips = asked["round_trips"]
        if not trips:
            sys.exit(f"bench: {commands[0]} answered nothing")
        # Both ends see every datagram, the warm-up's too.
        seen = max(answered["echoed"], 1)
        return {
            "trips_per_s": trips / SECONDS,
            "lost": asked["lost"],
            **{name: asked[name] for name in ("p50_us", "p90_us", "p99_us")},
            "cpu_us_per_round_trip": (answered["cpu_s"] + asked["cpu_s"]) * 1e6 / seen,
            "switches_per_round_trip": (answered["switches"] + asked["switches"]) / seen,
        }

    def finish(self):
        pass

    def rows(self):
        return [{"subject": self.name, "path": path, "size_bytes": SIZE, **medians(rounds),
                 **{f"{name}_ratio_to_quinn": paired(rounds, self.rounds[baseline_of(path)], f"{name}_us")
                    for name in ("p50", "p90", "p99")}, **self.ratios_of_binding(path, rounds), "rounds": rounds}
                for path, rounds in self.rounds.items()]

    def ratios_of_binding(self, path, rounds):
        """A binding beside C and beside webtransport-go, in the same round."""
        if path not in BINDINGS:
            return {}
        return {f"{name}_ratio_to_{beside}": paired(rounds, self.rounds[other], name)
                for beside, other in BESIDE.items() if other in self.rounds
                for name in ("p50_us", "p99_us", "cpu_us_per_round_trip")}

    def print(self, rows):
        print(f"{'round trip':<24}{'p50 µs':>9}{'ratio':>7}{'p90 µs':>9}{'ratio':>7}{'p99 µs':>9}{'ratio':>7}"
              f"{'trips/s':>10}{'cpu µs':>9}{'switches':>10}{'lost':>6}")
        for row in rows:
            figures = "".join(f"{row[f'{name}_us']:>9.1f}{number(row[f'{name}_ratio_to_quinn'], 7)}"
                              for name in ("p50", "p90", "p99"))
            print(f"{row['path']:<24}{figures}{row['trips_per_s']:>10,.0f}{row['cpu_us_per_round_trip']:>9.1f}"
                  f"{row['switches_per_round_trip']:>10.2f}{row['lost']:>6.0f}")
        for row in rows:
            for beside in BESIDE:
                if (ratio := row.get(f"p50_us_ratio_to_{beside}")) is not None:
                    print(f"{row['path']} / {BESIDE[beside]}: p50 {ratio:.2f}, p99 {row[f'p99_us_ratio_to_{beside}']:.2f}, cpu "
                          f"{row[f'cpu_us_per_round_trip_ratio_to_{beside}']:.2f}")

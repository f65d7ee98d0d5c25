"""Two sides that flood each other over a link that loses 2 % of the packets of each direction, 10 ms each way: what arrives of
either, wtgram and raw quinn at the same time over the same seeded link. They use little of the processor: the loss holds CUBIC
down."""

from concurrent.futures import ThreadPoolExecutor

from . import build
from .settings import QUICK, wanted
from .simulated import run_over_link
from .summary import medians, number, paired

SIZE = 1000
TIME_S = 5 if QUICK else 10
CONDITIONS = {"loss": 0.02, "latency_us": 10_000}
BASELINE = "quinn-flood"


class Flood:
    """Raw quinn and the C interface."""

    name = "flood over loss"

    def __init__(self):
        paths = {name: lambda program=program: ([program(), "flood-server", SIZE, TIME_S], [program(), "flood-client"])
                 for name, program in ((BASELINE, build.peers), ("wtgram-c-flood", build.c))}
        self.paths = {path: commands() for path, commands in wanted(paths, {BASELINE}).items()}
        self.rounds = {path: [] for path in self.paths}

    def round(self, number):
        with ThreadPoolExecutor() as pool:
            for path, result in zip(self.paths, pool.map(lambda c: self.measure(*c, number), self.paths.values())):
                self.rounds[path].append(result)

    @staticmethod
    def measure(server_command, client_command, seed):
        server, client, lost = run_over_link(server_command, client_command, [SIZE, TIME_S], seed, CONDITIONS,
                                             TIME_S + 60)
        up, down = server["bytes"] * 8 / TIME_S, client["bytes"] * 8 / TIME_S
        return {"up_bits_per_s": up, "down_bits_per_s": down, "both_bits_per_s": up + down, "link_lost_share": lost}

    def finish(self):
        pass

    def rows(self):
        return [{"subject": self.name, "path": path, "size_bytes": SIZE, "conditions": CONDITIONS, **medians(rounds),
                 **{f"{way}_ratio_to_quinn": paired(rounds, self.rounds[BASELINE], f"{way}_bits_per_s")
                    for way in ("up", "down", "both")}, "rounds": rounds}
                for path, rounds in self.rounds.items()]

    def print(self, rows):
        print(f"{'both sides flood over 2 % loss':<32}{'up Mbit/s':>10}{'ratio':>7}{'down Mbit/s':>13}{'ratio':>7}"
              f"{'both':>8}{'ratio':>7}{'lost by the link':>18}")
        for row in rows:
            ways = "".join(f"{row[f'{way}_bits_per_s'] / 1e6:>{width}.2f}{number(row[f'{way}_ratio_to_quinn'], 7)}"
                           for way, width in (("up", 10), ("down", 13), ("both", 8)))
            print(f"{row['path']:<32}{ways}{row['link_lost_share']:>18.2%}")

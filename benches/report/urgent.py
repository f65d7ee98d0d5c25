"""An urgent datagram of 100 bytes (priority 2) every 250 ms through a link of 1 Mbit/s that datagrams of 1000 bytes saturate:
how long it takes to arrive. The link's buffer holds 50 ms and drops what is more.

Raw quinn has no priority: there the urgent one waits behind all that quinn's buffer of 1 MiB holds. Both run at the same time,
each over a link of its own with the same seed."""

import statistics
import sys
from concurrent.futures import ThreadPoolExecutor

from . import build
from .settings import QUICK, wanted
from .simulated import run_over_link
from .summary import number

SIZE = 1000
TIME_S = 5 if QUICK else 10
RATE_BITS_PER_S = 1_000_000
# 50 ms, and the packet that comes then.
CONDITIONS = {"rate_bits_per_s": RATE_BITS_PER_S, "queue_bytes": RATE_BITS_PER_S // 8 * 50 // 1000 + 1200}
BASELINE = "quinn-urgent"


class Urgent:
    """Raw quinn and the C interface."""

    name = "urgent"

    def __init__(self):
        paths = {name: lambda program=program: ([program(), "urgent-receive"], [program(), "urgent-send"])
                 for name, program in ((BASELINE, build.peers), ("wtgram-c-urgent", build.c))}
        self.paths = {path: commands() for path, commands in wanted(paths, {BASELINE}).items()}
        self.rounds = {path: [] for path in self.paths}

    def round(self, number):
        with ThreadPoolExecutor() as pool:
            for path, result in zip(self.paths, pool.map(lambda c: self.measure(*c, number), self.paths.values())):
                self.rounds[path].append(result)

    @staticmethod
    def measure(receiver_command, sender_command, seed):
        received, sent, lost = run_over_link(receiver_command, sender_command, [SIZE, TIME_S], seed, CONDITIONS,
                                             TIME_S + 60)
        if not received["urgent_ms"]:
            sys.exit(f"bench: {sender_command[0]}: no urgent datagram arrived")
        return {
            "urgent_ms": received["urgent_ms"],
            "sent": sent["urgent"],
            "other_bytes": received["other_bytes"],
            "link_lost_share": lost,
        }

    def finish(self):
        pass

    def rows(self):
        rows = []
        for path, rounds in self.rounds.items():
            times = sorted(time for one in rounds for time in one["urgent_ms"])
            quinn = self.rounds[BASELINE]
            rows.append({
                "subject": self.name, "path": path, "conditions": CONDITIONS,
                "p50_ms": statistics.median(times), "p90_ms": times[(len(times) - 1) * 9 // 10], "max_ms": times[-1],
                "p50_ratio_to_quinn": statistics.median(
                    statistics.median(one["urgent_ms"]) / statistics.median(other["urgent_ms"])
                    for one, other in zip(rounds, quinn)),
                "delivered_share": len(times) / sum(one["sent"] for one in rounds),
                "link_lost_share": statistics.median(one["link_lost_share"] for one in rounds),
                "rounds": rounds,
            })
        return rows

    def print(self, rows):
        print(f"{'urgent through a full 1 Mbit/s':<32}{'p50 ms':>10}{'ratio':>7}{'p90 ms':>10}{'max ms':>10}{'arrived':>10}"
              f"{'lost by the link':>18}")
        for row in rows:
            print(f"{row['path']:<32}{row['p50_ms']:>10,.1f}{number(row['p50_ratio_to_quinn'], 7, 3)}{row['p90_ms']:>10,.1f}"
                  f"{row['max_ms']:>10,.1f}{row['delivered_share']:>10.1%}{row['link_lost_share']:>18.2%}")

"""Datagrams delivered per second by one session, in batches and one at a time.

Each datagram that was handed in is in one place: delivered; dropped by the library, which counts it; or lost between the
sockets, which the DATAGRAM frames that QUIC sent and received show. `counted` is the share delivered or counted as dropped;
what is left after the loss below is `unaccounted`, and should be 0. Raw quinn and webtransport-go drop without a count, and
webtransport-go does not count frames."""

import re
import sys

from . import build
from .process import run_pair
from .progress import step
from .settings import BUILD, wanted
from .summary import medians, number, paired, share

SIZES = (64, 1100)
BASELINE = "quinn-plain"
WEBTRANSPORT_GO = "webtransport-go"
ALLOCATIONS = ("receiver_allocations_per_datagram", "sender_allocations_per_datagram")


def measure(commands, size, environments=({}, {})):
    """One round of one path: a row's figures."""
    received, sent = run_pair(*commands, size, environments)
    delivered = received["delivered"]
    if received["malformed"] or delivered > sent["sent"] or received["bytes"] != delivered * size:
        sys.exit(f"bench: {commands[0]} counted what was not sent: {received}, {sent}")
    return account(received, sent) | {
        "megabytes_per_s": rate(received) * size / 1e6,
        "sender_cpu_us_per_datagram": sent["cpu_s"] * 1e6 / max(sent["sent"], 1),
        "receiver_cpu_us_per_datagram": received["cpu_s"] * 1e6 / max(delivered, 1),
        "cpu_us_per_delivered": (sent["cpu_s"] + received["cpu_s"]) * 1e6 / max(delivered, 1),
        "sender_switches_per_datagram": sent["switches"] / max(sent["sent"], 1),
        "receiver_switches_per_datagram": received["switches"] / max(delivered, 1),
        "reordered": received["reordered"],
    }


def rate(received):
    """Datagrams a second between the first and the last arrival that was stamped."""
    return received["window_datagrams"] / received["window_s"] if received["window_s"] else 0.0


def account(received, sent):
    """Where the datagrams are."""
    counted = sum(end.get(name, 0) for end in (received, sent) for name in ("dropped_full", "dropped_by_quic"))
    lost_below = sent["frames"] - received["frames"] if "frames" in sent else None
    handed_in = max(sent["sent"], 1)
    return {
        "delivered_per_s": rate(received),
        "sent": sent["sent"],
        "delivered": received["delivered"],
        "counted_drops": counted,
        "lost_below": lost_below,
        "unaccounted": None if lost_below is None else sent["sent"] - received["delivered"] - counted - lost_below,
        "delivered_share": received["delivered"] / handed_in,
        "counted_share": (received["delivered"] + counted) / handed_in,
        "lost_below_share": None if lost_below is None else lost_below / handed_in,
    }


class Throughput:
    """All paths, in both sizes."""

    name = "throughput"

    def __init__(self):
        paths = {path: lambda path=path: ([build.peers(), "receive", path], [build.peers(), "send", path])
                 for path in (BASELINE, "quinn-drained", "wtransport")}
        for language, program in (("c", build.c), ("cpp", build.cpp), ("go", build.go)):
            for form in ("batch", "single"):
                paths[f"wtgram-{language}-{form}"] = (
                    lambda program=program, form=form: ([program(), "receive", form], [program(), "send", form]))
        paths["wtgram-go-into"] = lambda: ([build.go(), "receive", "into"], [build.go(), "send", "into"])
        paths[WEBTRANSPORT_GO] = lambda: tuple([build.webtransport_go(), end, "single"] for end in ("receive", "send"))
        self.paths = {path: commands() for path, commands in wanted(paths, {BASELINE}).items()}
        self.rounds = {(path, size): [] for size in SIZES for path in self.paths}
        self.allocations = {}

    def round(self, _):
        for size in SIZES:
            for path, commands in self.paths.items():
                step(f"{path}, {size} bytes")
                self.rounds[path, size].append(measure(commands, size))

    def finish(self):
        """Calls of malloc and its kin per datagram, in a run of its own because counting costs time."""
        counter = build.allocation_counter()
        for size in SIZES:
            for path, commands in self.paths.items():
                if path == WEBTRANSPORT_GO:  # has no malloc
                    self.allocations[path, size] = dict.fromkeys(ALLOCATIONS)
                    continue
                step(f"allocations of {path}, {size} bytes")
                files = [BUILD / f"allocations.{end}" for end in ("receiver", "sender")]
                environments = [{"LD_PRELOAD": str(counter), "COUNT_ALLOCATIONS_FILE": str(file)} for file in files]
                counted = measure(commands, size, environments)
                receiver, sender = (int(file.read_text()) for file in files)
                per_datagram = (receiver / max(counted["delivered"], 1), sender / max(counted["sent"], 1))
                self.allocations[path, size] = dict(zip(ALLOCATIONS, per_datagram))

    def rows(self):
        return [{"subject": self.name, "path": path, "size_bytes": size, **medians(rounds),
                 "unaccounted": max(abs(one["unaccounted"] or 0) for one in rounds),
                 "ratio_to_quinn": paired(rounds, self.rounds[BASELINE, size], "delivered_per_s"),
                 **self.ratios_to_c(path, size, rounds), **self.ratio_to_webtransport_go(path, size, rounds),
                 **self.allocations[path, size], "rounds": rounds}
                for (path, size), rounds in self.rounds.items()]

    def ratio_to_webtransport_go(self, path, size, rounds):
        """The Go package beside the other one for Go, in the same round."""
        other = self.rounds.get((WEBTRANSPORT_GO, size))
        if other is None or not path.startswith("wtgram-go-"):
            return {}
        return {"delivered_per_s_ratio_to_webtransport_go": paired(rounds, other, "delivered_per_s")}

    def ratios_to_c(self, path, size, rounds):
        """A binding beside C in the same form and round: what it delivers, and its CPU time, which other work on the machine
        disturbs less."""
        in_c = self.rounds.get((re.sub("^wtgram-(cpp|go)-", "wtgram-c-", path).replace("-into", "-single"), size))
        if in_c is None or in_c is rounds:
            return {}
        return {f"{name}_ratio_to_c": paired(rounds, in_c, name)
                for name in ("delivered_per_s", "sender_cpu_us_per_datagram", "receiver_cpu_us_per_datagram",
                             "cpu_us_per_delivered")}

    def print(self, rows):
        print(f"{'path':<19}{'size':>5}{'delivered/s':>12}{'lowest..highest/s':>23}{'MB/s':>7}{'ratio':>6}{'share':>8}"
              f"{'counted':>9}{'lost below':>11}{'cpu µs':>9}{'snd':>8}{'rcv':>8}{'switches snd':>13}{'rcv':>8}"
              f"{'allocs snd':>11}{'rcv':>6}")
        for row in rows:
            rates = [r["delivered_per_s"] for r in row["rounds"]]
            # Only wtgram counts what it drops.
            counted = row["counted_share"] if row["path"].startswith("wtgram") else None
            print(f"{row['path']:<19}{row['size_bytes']:>5}{row['delivered_per_s']:>12,.0f}"
                  f"{f'{min(rates):,.0f}..{max(rates):,.0f}':>23}{row['megabytes_per_s']:>7.1f}"
                  f"{number(row['ratio_to_quinn'], 6)}{row['delivered_share']:>8.2%}{share(counted, 9)}"
                  f"{share(row['lost_below_share'], 11)}{row['cpu_us_per_delivered']:>9.3f}"
                  f"{row['sender_cpu_us_per_datagram']:>8.3f}{row['receiver_cpu_us_per_datagram']:>8.3f}"
                  f"{row['sender_switches_per_datagram']:>13.4f}{row['receiver_switches_per_datagram']:>8.4f}"
                  f"{number(row['sender_allocations_per_datagram'], 11)}"
                  f"{number(row['receiver_allocations_per_datagram'], 6)}")
        for row in rows:
            if row["path"].startswith("wtgram") and row["unaccounted"]:
                places = ", ".join(f"{one['unaccounted']:,}" for one in row["rounds"])
                print(f"NOT ACCOUNTED FOR: {row['path']}, {row['size_bytes']} bytes: {places} datagrams")
        for row in rows:
            if "delivered_per_s_ratio_to_c" in row:
                print(f"{row['path']} / C, {row['size_bytes']} bytes: delivered {row['delivered_per_s_ratio_to_c']:.3f}, cpu snd "
                      f"{row['sender_cpu_us_per_datagram_ratio_to_c']:.3f}, rcv "
                      f"{row['receiver_cpu_us_per_datagram_ratio_to_c']:.3f}, both for one delivered "
                      f"{row['cpu_us_per_delivered_ratio_to_c']:.3f}")
        for row in rows:
            if (ratio := row.get("delivered_per_s_ratio_to_webtransport_go")) is not None:
                print(f"{row['path']} / webtransport-go, {row['size_bytes']} bytes: delivered {ratio:.1f}")

"""Many busy sessions in one server process and one client process, beside one session, and raw quinn's connections beside both.

The client's thread goes round its sessions, 16 datagrams each; the server's waits on one poller. Raw quinn has a task for each
connection, on one thread, and one socket at each end, as the library has. Up to 100 datagrams a session wait to be sent, the
library's default, for both. CPU time is counted from when all sessions stand.

Memory is the peak of the whole process; for each session, what the processes with many need more than those with one."""

import os

from . import build
from .process import Process
from .progress import step
from .settings import QUICK, SECONDS, wanted
from .summary import medians, number, paired, share
from .throughput import account

MANY = max(2, int(os.environ.get("WTGRAM_BENCH_SESSIONS", "1000")))
SIZE = 64
# Between the sender's word that all stand and the last arrival, and for the connections before and the farewells after.
PATIENCE_S = 180


def one_of(path):
    """The same path with one session."""
    return path.replace(f"-{MANY}-sessions", "-1-session")


def quinn_of(path):
    """Raw quinn with as many."""
    return path.replace("wtgram-c", "quinn")


class Sessions:
    """Raw quinn and the C interface, with one session and with many."""

    name = "sessions"

    def __init__(self):
        paths = {}
        for count, name in ((1, "1-session"), (MANY, f"{MANY}-sessions")):
            for language, program in (("quinn", build.peers), ("wtgram-c", build.c)):
                paths[f"{language}-{name}"] = lambda program=program, count=count: (
                    [program(), "sessions-receive", count], [program(), "sessions-send", count])
        baselines = {path for path in paths if path.startswith("quinn")} | {"wtgram-c-1-session"}
        self.paths = {path: commands() for path, commands in wanted(paths, baselines).items()}
        self.rounds = {path: [] for path in self.paths}

    def round(self, _):
        for path, commands in self.paths.items():
            step(path)
            self.rounds[path].append(self.measure(*commands))

    @staticmethod
    def measure(receiver_command, sender_command):
        with Process(receiver_command) as receiver:
            target = receiver.listening()
            with Process([*sender_command, *target, SIZE, max(SECONDS, 1) if QUICK else SECONDS]) as sender:
                word = sender.line().strip()
                assert word == "READY", word
                before = receiver.cpu_s(), sender.cpu_s()
                sent = sender.finish(PATIENCE_S)
            received = receiver.finish(PATIENCE_S)
        handed_in, delivered = max(sent["sent"], 1), max(received["delivered"], 1)
        cpu_us = [(end["cpu_s"] - until) * 1e6 for end, until in zip((received, sent), before)]
        return account(received, sent) | {
            "receiver_cpu_us_per_datagram": cpu_us[0] / delivered,
            "sender_cpu_us_per_datagram": cpu_us[1] / handed_in,
            "cpu_us_per_delivered": sum(cpu_us) / delivered,
            "server_peak_bytes": received["peak_memory_bytes"],
            "client_peak_bytes": sent["peak_memory_bytes"],
        }

    def finish(self):
        pass

    def rows(self):
        rows = []
        for path, rounds in self.rounds.items():
            row = {"subject": self.name, "path": path, "size_bytes": SIZE, **medians(rounds)}
            for name in ("delivered_per_s", "cpu_us_per_delivered"):
                row[f"{name}_ratio_to_quinn"] = paired(rounds, self.rounds[quinn_of(path)], name)
            if one_of(path) != path:
                alone = self.rounds[one_of(path)]
                row["delivered_per_s_ratio_to_one"] = paired(rounds, alone, "delivered_per_s")
                row["cpu_us_per_delivered_ratio_to_one"] = paired(rounds, alone, "cpu_us_per_delivered")
                for end in ("server", "client"):
                    more = row[f"{end}_peak_bytes"] - medians(alone)[f"{end}_peak_bytes"]
                    row[f"{end}_bytes_per_session"] = more / (MANY - 1)
            rows.append(row | {"rounds": rounds})
        return rows

    def print(self, rows):
        print(f"{SIZE} bytes, flat out through all sessions of one process\n"
              f"{'path':<24}{'delivered/s':>12}{'ratio':>7}{'to one':>8}{'share':>8}{'counted':>9}{'lost below':>11}"
              f"{'cpu µs':>8}{'snd':>7}{'rcv':>7}{'ratio':>7}{'to one':>8}{'server MB':>11}{'client MB':>10}"
              f"{'KB/session':>12}{'client':>8}")
        for row in rows:
            counted = row["counted_share"] if row["path"].startswith("wtgram") else None
            each = [row[f"{end}_bytes_per_session"] / 1000 if f"{end}_bytes_per_session" in row else None
                    for end in ("server", "client")]
            print(f"{row['path']:<24}{row['delivered_per_s']:>12,.0f}{number(row['delivered_per_s_ratio_to_quinn'], 7)}"
                  f"{number(row.get('delivered_per_s_ratio_to_one'), 8)}{row['delivered_share']:>8.2%}{share(counted, 9)}"
                  f"{row['lost_below_share']:>11.2%}{row['cpu_us_per_delivered']:>8.3f}"
                  f"{row['sender_cpu_us_per_datagram']:>7.3f}{row['receiver_cpu_us_per_datagram']:>7.3f}"
                  f"{number(row['cpu_us_per_delivered_ratio_to_quinn'], 7)}"
                  f"{number(row.get('cpu_us_per_delivered_ratio_to_one'), 8)}{row['server_peak_bytes'] / 1e6:>11.1f}"
                  f"{row['client_peak_bytes'] / 1e6:>10.1f}{number(each[0], 12, 1)}{number(each[1], 8, 1)}")

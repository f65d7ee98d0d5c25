"""Messages with acknowledgement over a link that loses 10 % each way, 20 ms each way: 200 of 100 bytes a second. wtgram's layer
and, as the nearest thing that raw quinn has, one ordered stream; both at the same time, each over a link of its own with
the same seed. `make bench-reliability` has more contenders.

Times are from when a message is due to be sent until the receiving program has it. Bytes on the wire are UDP payload of both
directions, for each byte of a message that was delivered:

  message      messages, once; again: the same, sent again
  our header   of the layer's frame of a message (9 bytes)
  our acks     the layer's acknowledgements, and the few frames by which the ends find each other
  datagram     session id, type and length of the DATAGRAM frames of both
  packet       header and tag of the QUIC packets: 26 bytes with a packet number of one byte
  quic         the rest, which is QUIC's own: acknowledgements, probes, longer packet numbers
  udp/ip       28 bytes a packet; beside the sum, not in it"""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from . import build
from .settings import QUICK, wanted
from .summary import medians, number, paired

TIME_S = 15 if QUICK else 40
CONDITIONS = {"loss": 0.1, "latency_us": 20_000}
MESSAGE_BYTES = 100
BASELINE = "quinn-stream"
CONTENDERS = {BASELINE: "stream", "wtgram-reliability": "wtgram"}
# Flags, the connection id of 8 bytes that both libraries use, a packet number of one byte, the AEAD's tag.
PACKET_BYTES = 1 + 8 + 1 + 16
UDP_IP_BYTES = 8 + 20
PARTS = {"message": "message", "again": "again", "layer_header": "our header", "layer_acks": "our acks",
         "datagram_header": "datagram", "packet": "packet", "quic": "quic"}


def breakdown(result):
    """Bytes on the wire per delivered byte, by what they are; `result` is a contender's report."""
    delivered = max(result["delivered"] * MESSAGE_BYTES, 1)
    whole = {"wire": result["wire_bytes"] / delivered, "udp_ip": result["wire_packets"] * UDP_IP_BYTES / delivered}
    bytes_of = result["more"].get("breakdown")
    if not bytes_of:
        return whole
    parts = {
        "message": delivered,
        "again": bytes_of["message_bytes"] - delivered,
        "layer_header": bytes_of["layer_header_bytes"],
        "layer_acks": bytes_of["layer_acknowledgement_bytes"],
        "datagram_header": bytes_of["datagram_header_bytes"],
        "packet": result["wire_packets"] * PACKET_BYTES,
    }
    parts["quic"] = result["wire_bytes"] - sum(parts.values())
    return whole | {name: count / delivered for name, count in parts.items()}


def print_breakdown(shares):
    """One line; `shares` is what `breakdown` returns."""
    print("bytes on the wire per delivered byte: " + " + ".join(f"{shares[part]:.2f} {name}" for part, name in PARTS.items())
          + f" = {shares['wire']:.2f}; and {shares['udp_ip']:.2f} udp/ip")


class Reliability:
    """The layer, and a stream."""

    name = "reliability"

    def __init__(self):
        chosen = wanted(CONTENDERS, {BASELINE})
        self.paths = {path: [build.reliability(), contender] for path, contender in chosen.items()}
        self.rounds = {path: [] for path in self.paths}

    def round(self, number):
        with ThreadPoolExecutor() as pool:
            for path, result in zip(self.paths, pool.map(lambda c: self.measure(c, number), self.paths.values())):
                self.rounds[path].append(result)

    @staticmethod
    def measure(command, seed):
        arguments = [seed, TIME_S, json.dumps(CONDITIONS)]
        output = subprocess.run([str(part) for part in (*command, *arguments)], check=True, stdout=subprocess.PIPE,
                                text=True, timeout=TIME_S + 120, env=os.environ).stdout
        result = json.loads(output.splitlines()[-1])
        return {
            **{name: result[name] for name in ("p50_ms", "p98_ms", "p999_ms", "max_ms", "messages", "delivered", "doubled")},
            **{f"{part}_per_delivered_byte": share for part, share in breakdown(result).items()},
        }

    def finish(self):
        pass

    def rows(self):
        return [{"subject": self.name, "path": path, "conditions": CONDITIONS, **medians(rounds),
                 **{f"{name}_ratio_to_quinn": paired(rounds, self.rounds[BASELINE], name)
                    for name in ("p50_ms", "p98_ms", "p999_ms", "wire_per_delivered_byte")}, "rounds": rounds}
                for path, rounds in self.rounds.items()]

    def print(self, rows):
        print(f"{'messages over 10 % loss':<24}{'delivered':>12}{'p50 ms':>9}{'ratio':>7}{'p98 ms':>9}{'ratio':>7}"
              f"{'p99.9 ms':>10}{'ratio':>7}{'max ms':>9}{'wire bytes':>12}{'ratio':>7}")
        for row in rows:
            delivered = f"{sum(one['delivered'] for one in row['rounds'])}/{sum(one['messages'] for one in row['rounds'])}"
            times = "".join(f"{row[f'{name}_ms']:>{width}.1f}{number(row[f'{name}_ms_ratio_to_quinn'], 7)}"
                            for name, width in (("p50", 9), ("p98", 9), ("p999", 10)))
            print(f"{row['path']:<24}{delivered:>12}{times}{row['max_ms']:>9.1f}{row['wire_per_delivered_byte']:>12.2f}"
                  f"{number(row['wire_per_delivered_byte_ratio_to_quinn'], 7)}")
        for row in rows:
            if "quic_per_delivered_byte" in row:
                print_breakdown({part.removesuffix("_per_delivered_byte"): value for part, value in row.items()
                                 if part.endswith("_per_delivered_byte")})

"""What the figures are held against. A goal that was not measured in this run is left out."""

import operator

AT_LEAST, AT_MOST = ("at least", operator.ge), ("at most", operator.le)


def goals():
    """What is wanted: subject, path, size or None, figure, comparison, limit, and its words."""
    for form, ratios in (("batch", {64: 1.15, 1100: 1.2}), ("single", {64: 0.9, 1100: 1.15})):
        for size, ratio in ratios.items():
            path = f"wtgram-c-{form}"
            yield "throughput", path, size, "ratio_to_quinn", AT_LEAST, ratio, "times raw quinn's rate"
            yield "throughput", path, size, "delivered_share", AT_LEAST, 0.99, "of the datagrams delivered"
            yield "throughput", path, size, "unaccounted", AT_MOST, 0, "datagrams neither delivered nor counted nor lost below"
            yield ("throughput", f"wtgram-cpp-{form}", size, "delivered_per_s_ratio_to_c", AT_LEAST, 0.98,
                   "times C's rate")
    for size, beside in ((64, 15), (1100, 6)):
        for form, ratio in (("batch", 0.8), ("single", 0.6), ("into", 0.6)):
            path = f"wtgram-go-{form}"
            yield "throughput", path, size, "delivered_per_s_ratio_to_c", AT_LEAST, ratio, "times C's rate"
            yield "throughput", path, size, "delivered_share", AT_LEAST, 0.97, "of the datagrams delivered"
            for end in ("sender", "receiver"):
                yield ("throughput", path, size, f"{end}_cpu_us_per_datagram_ratio_to_c", AT_MOST, 1.3,
                       f"times C's CPU at the {end}")
        yield ("throughput", "wtgram-go-batch", size, "delivered_per_s_ratio_to_webtransport_go", AT_LEAST, beside,
               "times webtransport-go's rate")
    yield "round trips", "wtgram-go-echo", 64, "p50_us_ratio_to_c", AT_MOST, 1.3, "times C's p50"
    yield "round trips", "wtgram-go-echo", 64, "p50_us_ratio_to_webtransport_go", AT_MOST, 0.5, "times webtransport-go's p50"
    for size, limit in ((64, 0.22), (1100, 2.0)):
        yield "throughput", "wtgram-c-batch", size, "cpu_us_per_delivered", AT_MOST, limit, "µs of CPU a datagram, both ends"
    for path, limit in (("wtgram-c-echo", 0.3), ("wtgram-c-echo-no-spin", 1.0), ("wtgram-c-echo-poller", 1.15),
                        ("wtgram-c-echo-busy", 1.2)):
        yield "round trips", path, 64, "p50_ratio_to_quinn", AT_MOST, limit, "times raw quinn's p50"
    yield "broadcast", "wtgram-broadcast", None, "last_us_ratio_to_quinn", AT_MOST, 1.0, "times raw quinn's last hand-over"
    yield "broadcast", "wtgram-broadcast", None, "idle_bytes_per_session", AT_MOST, 30_000, "bytes for an idle session"
    yield "urgent", "wtgram-c-urgent", None, "p50_ms", AT_MOST, 67, "ms through a full link of 1 Mbit/s"
    yield "reliability", "wtgram-reliability", None, "p999_ms", AT_MOST, 175, "ms at p99.9, 10 % loss"
    yield ("reliability", "wtgram-reliability", None, "wire_per_delivered_byte", AT_MOST, 1.9,
           "bytes on the wire per delivered byte")


def judge(rows):
    """Each goal with its figure and whether it is met."""
    by_path = {(row["subject"], row["path"], row.get("size_bytes")): row for row in rows}
    by_path |= {(row["subject"], row["path"], None): row for row in rows}
    judged = []
    for subject, path, size, figure, (words, compare), limit, unit in goals():
        value = by_path.get((subject, path, size), {}).get(figure)
        if value is not None:
            what = f"{path}{f', {size} bytes' if size else ''}: {_short(value)}; goal {words} {_short(limit)} {unit}"
            judged.append({"goal": what, "value": value, "met": compare(value, limit)})
    return judged


def _short(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def show(judged):
    """Prints them, those that are missed last."""
    for one in sorted(judged, key=lambda one: not one["met"]):
        print(f"{'met' if one['met'] else 'NOT MET'}: {one['goal']}")

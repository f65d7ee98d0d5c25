"""page.py RESULTS: compares docs/interoperability.md with what the interop tests found (the files that run_pair.py wrote).

With WTGRAM_BLESS=1 it writes the page instead; `make interop` runs the tests and does that. The version of a browser is
the system's: the page says with which one it was written, and another one is no difference.
"""

from __future__ import annotations

import difflib
import json
import os
import pathlib
import re
import sys

from peers import PEERS, ROWS

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "interoperability.md"
INTRODUCTION = """\
# Interoperability

wtgram is tested with every implementation of WebTransport that we could get, in the roles that each has. The tests write
this page (`tests/interop`): `ctest -R interop` fails when it is not what they found, and `make interop` writes it again.

The role is the peer's; wtgram has the other one. A pair exchanges:

- **1,000 echoes** of 8 to 999 bytes. The client compares every byte.
- **largest datagram:** each side sends the largest that fits, and the other side compares every byte.
- **empty datagram:** one goes to the server and comes back.
- **our close:** wtgram closes the session, and the peer reports code and reason.
- **its close:** the peer closes the session, and wtgram reports code and reason.
- **rejection:** the server refuses the session, and the client reports the HTTP status, 404.
- **subprotocol:** the client offers two, and both sides report the one that the server selected.

Where it says *no*, the reason is below. The tests try these rows, too, and fail when one works.
"""
END = """\
Peers and browsers run on loopback. More tests with pywebtransport: structured objects, JSON datagrams and heartbeats, and
[reliable messages](reliability.md) over a link that loses 10 %.
"""


def read_results(folder: pathlib.Path) -> list[dict]:
    results = []
    for name, peer in PEERS.items():
        for role in peer.roles:
            path = folder / f"{name}_as_{role}.json"
            if not path.exists():
                sys.exit(f"{path.name} is missing: its test did not run, or failed")
            results.append(json.loads(path.read_text(encoding="utf-8")))
    return results


def page(results: list[dict]) -> str:
    reasons: list[str] = []

    def cell(peer: str, role: str, row: str, outcome: dict) -> str:
        word = {True: "yes", False: "no", None: "–"}[outcome["works"]]
        reason = PEERS[peer].remarks.get((role, row)) if outcome["works"] else outcome["reason"]
        if reason is None:
            return word
        if reason not in reasons:
            reasons.append(reason)
        return f"{word} ({reasons.index(reason) + 1})"

    lines = ["| peer | version | role | " + " | ".join(ROWS.values()) + " |", "|---" * (3 + len(ROWS)) + "|"]
    for result in results:
        name, role = result["peer"], result["role"]
        cells = [cell(name, role, row, result["rows"][row]) for row in ROWS]
        lines.append("| " + " | ".join([PEERS[name].title, result["version"], role, *cells]) + " |")
    numbered = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([INTRODUCTION, *lines, "", *numbered, "", END])


def without_browser_versions(text: str) -> str:
    titles = "|".join(re.escape(peer.title) for peer in PEERS.values() if not peer.pinned)
    return re.sub(rf"^(\| (?:{titles}) \|) [\d.]+ ", r"\1 … ", text, flags=re.M)


def main() -> int:
    made = page(read_results(pathlib.Path(sys.argv[1])))
    present = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if os.environ.get("WTGRAM_BLESS") == "1":
        PAGE.write_text(made, encoding="utf-8")
        return 0
    old, new = without_browser_versions(present), without_browser_versions(made)
    if old == new:
        return 0
    print("\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), "the page", "what the tests found", lineterm="")))
    print("docs/interoperability.md is stale: run `make interop`")
    return 1


if __name__ == "__main__":
    sys.exit(main())

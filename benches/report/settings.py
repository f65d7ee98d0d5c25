"""What the environment asks for, and where things are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BUILD = TARGET / "bench"
# The library as it is shipped; `make bench` builds it before it calls benches/run.
LIBRARY = Path(os.environ.get("WTGRAM_LIBRARY_DIR", ROOT / "build/release/lib"))

QUICK = os.environ.get("QUICK", "") not in ("", "0")
SECONDS = float(os.environ.get("WTGRAM_BENCH_SECONDS", "0.4" if QUICK else "2"))
ROUNDS = int(os.environ.get("WTGRAM_BENCH_ROUNDS", "1" if QUICK else "3"))
# Paths by name, to measure only some; raw quinn beside them always.
PATHS = os.environ.get("WTGRAM_BENCH_PATHS")
PATHS = set(PATHS.split(",")) if PATHS else None


def wanted(paths, baselines):
    """Of a subject's table of paths those that were asked for, or none if only baselines are left."""
    if PATHS is None:
        return paths
    chosen = {path: commands for path, commands in paths.items() if path in PATHS | baselines}
    return chosen if chosen.keys() & PATHS else {}

"""Says on standard error where the run is."""

import sys
import time

_STARTED = time.monotonic()
_WIDTH = 70


def say(what):
    """A line that stays."""
    _write(f"{what:<{_WIDTH}}\n")


def step(what):
    """A line that the next one takes the place of; only where somebody looks."""
    if sys.stderr.isatty():
        _write(f"{what:<{_WIDTH}}\r")


def _write(line):
    sys.stderr.write(f"[{time.monotonic() - _STARTED:4.0f} s] {line}")
    sys.stderr.flush()

#!/usr/bin/env python3
"""walk.py PAGE: does what a page of the documentation tells its reader to do, and fails where a command fails.

    WTGRAM_SOURCE=. WTGRAM_BUILD=build/release tests/docs/walk.py docs/getting-started.md [--keep] [--limit SECONDS]

HTML comments mark the fenced blocks that count. A comment is alone on the line before its block:

    <!-- file: PATH -->      write the block to PATH, in the folder of the walk
    <!-- run -->             run the block with `bash -euo pipefail` in that folder

A third comment has no block. It lets the test wait for a program that runs in the background:

    <!-- until: COMMAND -->  run COMMAND again and again until it succeeds

All steps happen in the order of the page, in one temporary folder, which is removed at the end (not with --keep).
The commands see WTGRAM_SOURCE (the clone; default: the one with this file) and WTGRAM_BUILD (an existing build tree;
default: build/release of the clone) as absolute paths. Each step may take 600 s (--limit). Programs that a block
leaves in the background end with the walk.

Exit codes: 0 every step succeeded, 1 a step failed, 2 the page or the call is wrong.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MARK = re.compile(r"\s*<!-- (?:(run)|(file|until): (.+?)) -->\s*")
FENCE = re.compile(r"(\s*)(`{3,})\S*\s*")


class Failure(Exception):
    """A step failed."""


class BadPage(Exception):
    """The page has a mark that nothing can be done with."""


def steps(text):
    """The steps of a page: (line, kind, argument, block), where kind is "file", "run" or "until"."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        mark = MARK.fullmatch(lines[number])
        number += 1
        if not mark:
            continue
        line, kind, argument = number, mark[1] or mark[2], mark[3]
        if kind == "until":
            yield line, kind, argument, ""
            continue
        fence = FENCE.fullmatch(lines[number]) if number < len(lines) else None
        if not fence:
            raise BadPage(f"line {line}: no fenced block follows the mark")
        indent, end = len(fence[1]), fence[2]
        block = []
        number += 1
        while number < len(lines) and lines[number].strip() != end:
            block.append(lines[number][indent:])
            number += 1
        if number == len(lines):
            raise BadPage(f"line {line}: the block does not end")
        number += 1
        yield line, kind, argument, "".join(f"{one}\n" for one in block)


class Walk:
    """A folder, and the blocks whose process groups may still have members."""

    def __init__(self, folder, environment, limit):
        self.folder, self.environment, self.limit = folder, environment, limit
        self.blocks = []

    def write(self, path, block):
        target = self.folder / path
        if self.folder not in target.resolve().parents:
            raise BadPage(f"{path} is not below the folder of the walk")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block, encoding="utf-8")

    def run(self, block):
        # A session of its own: all that the block starts is in one process group, which can be ended as a whole.
        # What it prints goes straight to our output, so a program in the background holds no pipe of ours.
        process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", block], cwd=self.folder, env=self.environment,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        self.blocks.append(process)
        try:
            code = process.wait(timeout=self.limit)
        except subprocess.TimeoutExpired:
            raise Failure(f"not done after {self.limit:g} s") from None
        if code != 0:
            raise Failure(f"exit code {code}")

    def until(self, command):
        end = time.monotonic() + self.limit
        while time.monotonic() < end:
            done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment, check=False,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise Failure(f"not so after {self.limit:g} s")

    def end(self):
        """Ends what runs in the background: first by SIGTERM, after two seconds by SIGKILL."""
        self.signal_groups(signal.SIGTERM)
        end = time.monotonic() + 2
        while self.blocks and time.monotonic() < end:
            time.sleep(0.05)
            self.signal_groups(0)
        self.signal_groups(signal.SIGKILL)

    def signal_groups(self, number):
        """Sends a signal to the groups that still exist, and forgets the others."""
        left = []
        for block in self.blocks:
            block.poll()  # a bash that has ended and was not waited for would count as a member of its group
            try:
                os.killpg(block.pid, number)
                left.append(block)
            except ProcessLookupError:
                pass
        self.blocks = left


def say(text):
    print(text, flush=True)


def walk(page, todo, on_the_way):
    for line, kind, argument, block in todo:
        title = f"{kind} {argument}" if argument else kind
        say(f"\n==== {page}:{line}: {title}")
        start = time.monotonic()
        try:
            if kind == "file":
                on_the_way.write(argument, block)
                say(f"---- {len(block.splitlines())} lines written")
                continue
            if kind == "run":
                for one in block.splitlines():
                    say(f"$ {one}")
                on_the_way.run(block)
            else:
                on_the_way.until(argument)
        except Failure as failure:
            raise Failure(f"{page}:{line}: {title}: {failure}") from None
        say(f"---- done in {time.monotonic() - start:.1f} s")


def main():
    clone = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description="Does what a page of the documentation says.")
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true", help="leave the folder of the walk in place")
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS", help="for each step (600)")
    arguments = parser.parse_args()

    source = pathlib.Path(os.environ.get("WTGRAM_SOURCE", clone)).resolve()
    build = pathlib.Path(os.environ.get("WTGRAM_BUILD", source / "build" / "release")).resolve()
    environment = {**os.environ, "WTGRAM_SOURCE": str(source), "WTGRAM_BUILD": str(build)}
    # So that SIGTERM ends the programs in the background, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    folder = pathlib.Path(tempfile.mkdtemp(prefix="wtgram-walk-")).resolve()
    on_the_way = Walk(folder, environment, arguments.limit)
    try:
        todo = list(steps(arguments.page.read_text(encoding="utf-8")))
        if not any(kind == "run" for _, kind, _, _ in todo):
            raise BadPage("no block is marked to be run")
        walk(arguments.page, todo, on_the_way)
    except Failure as failure:
        say(f"\nwalk: FAILED: {failure}")
        return 1
    except (BadPage, OSError) as fault:
        say(f"\nwalk: {arguments.page}: {fault}")
        return 2
    finally:
        on_the_way.end()
        if arguments.keep:
            say(f"\nwalk: the folder is {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    say(f"\nwalk: {len(todo)} steps of {arguments.page} succeeded")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Builds the programs at the ends of the measurements, each once and only when it is needed."""

import functools
import json
import os
import subprocess
import sys

from .settings import BUILD, LIBRARY, ROOT

WARNINGS = ["-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


@functools.cache
def rust(*targets):
    """Paths of Rust programs by name; cargo says where it put them. `targets` are cargo's, as ("bench", "peers")."""
    chosen = [part for kind, name in targets for part in (f"--{kind}", name)]
    command = ["cargo", "build", "--release", *chosen, "--message-format=json-render-diagnostics"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    made = {}
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            made[message["target"]["name"]] = message["executable"]
    return made


def peers():
    """The ends over raw quinn and stock wtransport."""
    return _rust_programs()["peers"]


def reliability():
    """The contenders of benches/reliability."""
    return _rust_programs()["reliability"]


def link_simulator():
    """The seeded link of tests/support/simulator."""
    return _rust_programs()["link_simulator"]


def _rust_programs():
    return rust(("bench", "peers"), ("bench", "reliability"), ("example", "link_simulator"))


def _library():
    if not (LIBRARY / "libwtgram.so").exists():
        sys.exit(f"bench: no libwtgram.so in {LIBRARY}: `make bench` builds it, or say where with WTGRAM_LIBRARY_DIR")
    return [f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}", "-lwtgram"]


def _compile(compiler, name, arguments):
    BUILD.mkdir(parents=True, exist_ok=True)
    output = BUILD / name
    subprocess.run([*compiler, *WARNINGS, *arguments, "-o", output], cwd=ROOT, check=True)
    return output


@functools.cache
def c():
    """The C ends."""
    sources = sorted((ROOT / "benches/c").glob("*.c"))
    compiler = [os.environ.get("CC", "cc"), "-std=c11", "-pthread"]
    return _compile(compiler, "wtgram_bench", ["-Iinclude", *sources, *_library()])


@functools.cache
def allocation_counter():
    """What counts allocations when it is preloaded."""
    compiler = [os.environ.get("CC", "cc"), "-std=c11"]
    return _compile(compiler, "libcount_allocations.so", ["-shared", "-fPIC", "benches/count_allocations.c"])


@functools.cache
def cpp():
    """The C++ ends."""
    compiler = [os.environ.get("CXX", "c++"), "-std=c++17"]
    includes = ["-Iinclude", "-Ibindings/cpp/include"]
    return _compile(compiler, "wtgram_bench_cpp", [*includes, "benches/wtgram_bench.cpp", *_library()])


@functools.cache
def go():
    """The Go ends, a module of its own."""
    _library()
    environment = {"CGO_ENABLED": "1", "CGO_LDFLAGS": f"-L{LIBRARY} -Wl,-rpath,{LIBRARY}"}
    return _build_go("wtgram_bench_go", "benches/go", ["-tags", "wtgram_dev"], environment)


@functools.cache
def webtransport_go():
    """The ends over webtransport-go, a module of its own."""
    return _build_go("webtransport_go_bench", "benches/webtransport-go", [], {"GOTOOLCHAIN": "local"})


def _build_go(name, folder, arguments, environment):
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / name
    subprocess.run(["go", "build", *arguments, "-o", program, "."], cwd=ROOT / folder, check=True,
                   env={**os.environ, "GOFLAGS": "-buildvcs=false", **environment})
    return program

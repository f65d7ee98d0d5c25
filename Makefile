# The doors of the house. `make` alone lists them; the work is in scripts/, cargo and CMake.

.DEFAULT_GOAL := help
.PHONY: help docs setup demo demo-browser test test-threads simulate bench bench-broadcast bench-reliability header fmt lint clean library programs
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

BUILD := build/release
# What the set-up installs for this folder only comes first; cargo's own folder may not be on the path yet.
export PATH := $(CURDIR)/.tools/bin:$(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin
# cgo finds the header and the library of the build tree.
export PKG_CONFIG_PATH := $(CURDIR)/$(BUILD)/pkgconfig$(if $(PKG_CONFIG_PATH),:$(PKG_CONFIG_PATH))
# Where the example programs are, for the scripts that run them.
export WTGRAM_PROGRAMS := $(CURDIR)/$(BUILD)/examples
# The library as it is shipped. (What a plain `cargo build` leaves in target/ is not optimized across crates.)
export WTGRAM_LIBRARY_DIR := $(CURDIR)/$(BUILD)/lib

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## install what the tests need (WTGRAM_NO_INSTALL=1: only say what is missing)
	@scripts/setup test

demo: ## a C server and a C client with live figures, then one line each from a C, a C++ and a Go client
	@scripts/setup demo
	@$(MAKE) --no-print-directory programs
	@scripts/demo-clients
	@scripts/demo

demo-browser: ## servers for a browser: a page that plots round-trip times, and a room of tabs
	@scripts/setup demo-browser
	@$(MAKE) --no-print-directory programs
	@scripts/demo-browser

# The examples and the library, without the tests: a C compiler is enough.
programs:
	@mkdir -p build
	@cmake --preset release -DWTGRAM_BUILD_TESTS=OFF > $(BUILD)-configure.log 2>&1 || { cat $(BUILD)-configure.log; exit 1; }
	@echo "building libwtgram and the examples (the first time takes a few minutes)"
	@cmake --build --preset release --target examples

test: ## everything: cargo test, then ctest (C, C++, Go, consumers, interop, browser)
	@scripts/setup test
	@scripts/test

test-threads: ## every kind of object on one poller from eight threads, under ThreadSanitizer
	@scripts/setup test
	@scripts/test-threads

simulate: ## the whole stack in invented time, new seeds for an hour; goes on where it was stopped
	@scripts/simulate

bench: ## rates, round trips and lossy links beside raw quinn (QUICK=1: in two minutes); target/bench/report.json
	@scripts/setup bench
	@cmake --preset release -DWTGRAM_BUILD_TESTS=OFF -DWTGRAM_BUILD_BENCHES=ON
	@cmake --build --preset release
	@benches/run

bench-broadcast: ## of that only one datagram to 1,000 sessions, and what an idle session weighs
	@scripts/setup bench
	@cmake --preset release -DWTGRAM_BUILD_TESTS=OFF -DWTGRAM_BUILD_BENCHES=ON
	@cmake --build --preset release
	@benches/run broadcast

bench-reliability: ## times to delivery at 10 % loss beside pywebtransport, an ordered stream and KCP
	@scripts/setup bench
	@tests/interop/setup.sh
	@benches/reliability/run

docs: ## the site: all pages, and the reference of C, C++ and Go, in build/site
	@scripts/setup docs
	@scripts/docs

header: ## write what is generated from sources: include/wtgram.h, docs/parity.md, docs/errors.md
	@WTGRAM_BLESS=1 cargo test --locked --test rust generated

fmt: ## lay out all code: Rust, C, C++, Go
	@scripts/setup test
	@scripts/lint --fix

lint: ## layout, clippy and go vet, without changing anything
	@scripts/setup test
	@scripts/lint

clean: ## remove everything that was built (the tools in .tools/ stay)
	@rm -rf build target

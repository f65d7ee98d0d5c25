# The entry points. `make` alone lists them. scripts/, cargo and CMake do the work.

.DEFAULT_GOAL := help
.PHONY: help docs setup demo demo-browser test test-threads simulate fuzz bench bench-broadcast bench-reliability header interop fmt lint clean library programs
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

BUILD := build/release
# First the tools that scripts/setup installs for this folder only. cargo's own folder may not be on the path yet.
export PATH := $(CURDIR)/.tools/bin:$(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin
# Here cgo finds the header and the library of the build tree.
export PKG_CONFIG_PATH := $(CURDIR)/$(BUILD)/pkgconfig$(if $(PKG_CONFIG_PATH),:$(PKG_CONFIG_PATH))
# The folder of the example programs, for the scripts that run them.
export WTGRAM_PROGRAMS := $(CURDIR)/$(BUILD)/examples
# The library as it is shipped. (A plain `cargo build` leaves one in target/ that is not optimized across crates.)
export WTGRAM_LIBRARY_DIR := $(CURDIR)/$(BUILD)/lib

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## install what the tests need (WTGRAM_NO_INSTALL=1: only list what is missing)
	@scripts/setup test

demo: ## run a C server and a C client with live figures, then a C, a C++ and a Go client, with one line each
	@scripts/setup demo
	@$(MAKE) --no-print-directory programs
	@scripts/demo-clients
	@scripts/demo

demo-browser: ## run servers for a browser: a page that plots round-trip times, and a room for several tabs
	@scripts/setup demo-browser
	@$(MAKE) --no-print-directory programs
	@scripts/demo-browser

# Builds the examples and the library, without the tests. This needs only a C compiler.
programs:
	@mkdir -p build
	@cmake --preset release -DWTGRAM_BUILD_TESTS=OFF > $(BUILD)-configure.log 2>&1 || { cat $(BUILD)-configure.log; exit 1; }
	@echo "building libwtgram and the examples (the first time takes a few minutes)"
	@cmake --build --preset release --target examples

test: ## run all tests: cargo test, then ctest (C, C++, Go, consumers, interop, browser)
	@scripts/setup test
	@scripts/test

test-threads: ## run every kind of object on one poller from eight threads, under ThreadSanitizer
	@scripts/setup test
	@scripts/test-threads

simulate: ## run new seeds of the simulation for an hour; continues where the last run stopped
	@scripts/simulate

fuzz: ## run the fuzz targets, 10 minutes each; continues with what was found (TARGETS="h3_session h3_uni" MINUTES=60)
	@scripts/setup test
	@scripts/fuzz long

bench: ## measure rates, round trips and lossy links beside raw quinn (QUICK=1: two minutes); see target/bench/report.json
	@scripts/setup bench
	@cmake --preset release -DWTGRAM_BUILD_TESTS=OFF -DWTGRAM_BUILD_BENCHES=ON
	@cmake --build --preset release
	@benches/run

bench-broadcast: ## measure only one datagram to 1,000 sessions, and the memory of an idle session
	@scripts/setup bench
	@cmake --preset release -DWTGRAM_BUILD_TESTS=OFF -DWTGRAM_BUILD_BENCHES=ON
	@cmake --build --preset release
	@benches/run broadcast

bench-reliability: ## measure times to delivery at 10 % loss, also of pywebtransport, an ordered stream and KCP
	@scripts/setup bench
	@tests/interop/setup.sh pywebtransport-0.9.1
	@benches/reliability/run

docs: ## build the site with all pages and the reference of C, C++ and Go in build/site
	@scripts/setup docs
	@scripts/docs

header: ## write the generated files: include/wtgram.h, docs/parity.md, docs/errors.md
	@WTGRAM_BLESS=1 cargo test --locked --test rust generated

interop: ## run the tests with all peers, and write docs/interoperability.md
	@scripts/setup test
	@cmake --preset release -DWTGRAM_BUILD_TESTS=ON
	@cmake --build --preset release --target interop_peer
	@WTGRAM_BLESS=1 ctest --preset release -R 'interop\.the_page'

fmt: ## format all code: Rust, C, C++, Go
	@scripts/setup test
	@scripts/lint --fix

lint: ## check layout, clippy and go vet; changes nothing
	@scripts/setup test
	@scripts/lint

clean: ## remove all that was built (the tools in .tools/ stay)
	@rm -rf build target

# The ways in: build it, try it, test it, install it. `make help` lists them.
SHELL := /bin/bash
CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
# A cargo that is new enough, if there is one: rustup's is not on everybody's PATH.
export PATH := $(or $(shell apxs/cargo-path),$(PATH))
APXS ?= apxs
MODULE := $(CARGO_TARGET_DIR)/release/libmod_session_cluster.so

.PHONY: help setup setup-tests build demo demo-stop demo-cluster demo-cluster-stop test check check-bare deny budget \
	install uninstall bench fuzz soak bench-cluster bench-strategies plot-strategies chaos model clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what building needs (Debian packages, Rust); run by demo
	@apxs/setup

setup-tests: ## install what the tests need as well (a browser, an LDAP server, ...); run by test
	@apxs/setup tests

build: ## build the module, optimised, as target/release/libmod_session_cluster.so
	@echo "== building the module (about two minutes the first time)"
	@cargo build --release --locked

demo: setup build ## start a local httpd with the module and walk through login, pages, restart and logout
	@MSC_MODULE=$(MODULE) apxs/demo

demo-stop: ## stop the httpd that the demo left running
	@apxs/demo --stop

demo-cluster: setup build ## start three nodes, a Redis and a balancer, and walk through pages, deaths and logouts
	@MSC_MODULE=$(MODULE) apxs/demo-cluster

demo-cluster-stop: ## stop what the demo of a cluster left running
	@apxs/demo-cluster --stop

test: setup-tests check ## run all tests: unit, model, loom, live on three MPMs, clusters, fuzz targets shortly
	@tests/run

check: ## format, lints, house rules, licences, scripts, spelling; nothing of it runs the module
	@tests/checks/rust-version
	@tests/checks/run

check-bare: ## prove in a clean Debian 12 and 13 that make needs nothing else (root; see tests/checks/bare --help)
	@tests/checks/bare $(BARE)

deny: ## deny.toml as cargo-deny reads it, duplicates as well (builds it if needed: minutes)
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@cargo deny check licenses bans sources

install: setup build ## install the module through apxs and say how to load it
	@apxs/install "$(MODULE)"

uninstall: ## remove what install put there
	@apxs/uninstall

bench: setup ## print all figures: table, whole pages, instructions
	@benches/run

budget: setup build ## hold the instructions of pages against benches/budget.toml (BUDGET=write writes them there)
	@MSC_MODULE=$(abspath $(MODULE)) \
		cargo bench --locked --profile dev --bench page --quiet -- --budget $(or $(BUDGET),check)

fuzz: ## fuzz each target for FUZZ_SECONDS (default 300)
	@fuzz/run $${FUZZ_SECONDS:-300}

soak: build ## the long forms of the live tests: 100 kills, 20 graceful restarts under load
	@MSC_LONG=1 cargo test --locked --test live -- --nocapture --test-threads=1 deaths restarts

bench-cluster: setup build ## print the figures of a cluster: logout elsewhere, what pages cost the store, fail-overs
	@MSC_LONG=1 MSC_MODULE=$(abspath $(MODULE)) cargo test --locked --test cluster -- --nocapture --test-threads=1 \
		logout nodes outage faults

bench-strategies: setup-tests build ## the same work over every store and other systems (15 min; BENCH_ROWS=redis,file)
	@MSC_MODULE=$(abspath $(MODULE)) cargo bench --locked --profile dev --bench strategies --quiet

plot-strategies: ## docs/strategies.svg and the tables in docs/strategies.md again from docs/strategies.json
	@cargo bench --locked --profile dev --bench strategies --quiet -- --plot

chaos: setup-tests build ## three nodes while their store, the way to it and processes fail; every store (15 min)
	@MSC_LONG=1 cargo test --locked --test cluster -- --nocapture --test-threads=1 chaos ended_sessions_stay_ended

model: ## search all states of the protocol between nodes and store (minutes, and much memory)
	@MSC_LONG=1 cargo test --locked --release --no-default-features --test protocol -- --nocapture --test-threads=1

clean: ## remove what was built
	@cargo clean

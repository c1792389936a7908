# The commands of the project. `make test` is what a change must pass; `make help` lists the rest.

SHELL = /bin/sh
CARGO = cargo
# Some tests hold a thousand sockets, and a benchmark fifteen thousand: more files than many systems let a program open at first.
OPEN_FILES = ulimit -n 20000 2>/dev/null || true;
# Seconds for each fuzz target.
SECONDS_EACH = 600

.PHONY: help run test tools fmt-check clippy features doc deny wasm python unit schemathesis fmt bench bench-fan-out fuzz
# One after the other: each uses all cores, and cargo locks its folder.
.NOTPARALLEL:

help: ## Lists these commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Builds a node and runs it on this machine: http://127.0.0.1:7400, its database under ./data.
	$(CARGO) run --locked --release --bin conclave -- serve

test: tools fmt-check clippy features doc deny wasm python unit ## Everything that a change must pass.

tools: ## Installs what the tests need and this machine lacks.
	scripts/install-test-tools

fmt-check: ## The code is formatted.
	$(CARGO) fmt --check

clippy: ## The code passes every lint, tests and benchmarks too.
	$(CARGO) clippy --locked --all-targets -- -D warnings

features: ## Each set of features builds alone, without warnings.
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features --features holder -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features --features node -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features --features custody -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features --features client -- -D warnings

doc: ## The documentation builds without warnings.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

deny: ## Licences, banned crates, second versions of crypto crates, sources.
	$(CARGO) deny --locked check licenses bans sources

wasm: ## The part that a browser runs builds for wasm32.
	scripts/wasm-check

python: ## A second implementation agrees with the vectors.
	.venv/bin/python tests/python/verify_vectors.py
	.venv/bin/python tests/python/frozen_vault.py

unit: ## Unit tests, integration tests and the examples in the documentation.
	$(OPEN_FILES) $(CARGO) test --locked

schemathesis: ## Makes calls up of the OpenAPI document, and looks at the answers. `make test` does it too.
	$(CARGO) test --locked --test node -- schemathesis

fmt: ## Formats the code.
	$(CARGO) fmt

bench: ## Benchmarks, vodozemac beside them, and the README's table. Takes minutes and a quiet machine.
	$(CARGO) bench --locked --bench protocol
	scripts/bench-table

bench-fan-out: ## The node beside bare epoll and others, and the README's tables of it. A quarter of an hour on a quiet machine.
	$(OPEN_FILES) $(CARGO) bench --locked --bench fan_out
	scripts/fan-out-table

# cargo-fuzz wants unstable flags of the compiler, which the stable one has under RUSTC_BOOTSTRAP.
fuzz: export RUSTC_BOOTSTRAP = 1
fuzz: ## Each fuzz target for SECONDS_EACH seconds (600). Needs `cargo install --locked cargo-fuzz`.
	@set -e; targets=$$($(CARGO) fuzz list); for target in $$targets; do \
		echo "fuzz: $$target for $(SECONDS_EACH) s"; \
		$(CARGO) fuzz run "$$target" -- -max_total_time=$(SECONDS_EACH); \
	done

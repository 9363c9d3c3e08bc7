# Everything a developer does here; plain `make` lists it.

BIN := .venv/bin
TEST_PACKAGES := nginx-light varnish gcc libc6-dev redis-server pebble chromium python3-doc curl nodejs openssl nghttp2-client nghttp2-server
BENCH_PACKAGES := nginx-light varnish wrk nghttp2-client util-linux gcc libc6-dev python3-dev python3-venv
# Tests start hundreds of processes, each of which would compile the sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-all check bench bench-images bench-inference bench-balance bench-chaos conformance clients models docs lock venv

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

run: venv ## Serve the demo site through the proxy
	@$(BIN)/edgeproxy demo

test: venv ## Run the tests
	@scripts/debian-packages $(TEST_PACKAGES)
	$(BIN)/python -m pytest -n 2 -m "not slow and not bench"

test-all: venv ## Run all tests, also those that take minutes
	@scripts/debian-packages $(TEST_PACKAGES)
	$(BIN)/python -m pytest -n 2 -m "not bench"
	@scripts/test-compiled

check: venv ## Lint, formatting, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/architecture

bench: venv ## Measure beside nginx and Varnish, and models within their budgets
	@scripts/debian-packages $(BENCH_PACKAGES) npm
	@scripts/setup-models .venv-models
	@scripts/setup-compiled .venv-compiled
	EDGEPROXY=.venv-compiled/bin/edgeproxy $(BIN)/python -m tests.benchmarks
	EDGEPROXY=.venv-compiled/bin/edgeproxy $(BIN)/python -m tests.benchmarks.http3 --write
	EDGEPROXY=.venv-compiled/bin/edgeproxy $(BIN)/python -m tests.benchmarks.slow_reader --write
	$(BIN)/python -m tests.benchmarks.attacks --write
	EDGEPROXY=.venv-compiled/bin/edgeproxy $(BIN)/python -m tests.benchmarks.inference --budgets --write

bench-images: venv ## Measure pictures beside thumbor and ipx
	@scripts/debian-packages $(BENCH_PACKAGES) nodejs npm
	@scripts/setup-compiled .venv-compiled
	EDGEPROXY=.venv-compiled/bin/edgeproxy $(BIN)/python -m tests.benchmarks.images

bench-inference: venv ## Measure models beside MLServer
	@scripts/debian-packages $(BENCH_PACKAGES) npm
	@scripts/setup-models .venv-models
	@scripts/setup-compiled .venv-compiled
	EDGEPROXY=.venv-compiled/bin/edgeproxy $(BIN)/python -m tests.benchmarks.inference

bench-balance: venv ## Measure balancers, simulated and with real processes
	$(BIN)/python -m tests.benchmarks.balance
	$(BIN)/python -m tests.benchmarks.balance --processes

bench-chaos: venv ## Measure failing origins beside nginx and HAProxy
	@scripts/debian-packages $(BENCH_PACKAGES) haproxy
	@scripts/setup-compiled .venv-compiled
	EDGEPROXY=.venv-compiled/bin/edgeproxy $(BIN)/python -m tests.benchmarks.chaos

models: venv ## Train the models anew and compare them with their cards (NAMES=…)
	@scripts/debian-packages npm
	@scripts/setup-models .venv-models
	.venv-models/bin/python scripts/models $(NAMES)

conformance: venv ## Run the public HTTP cache test suite, h2spec's cases and HTTP/3's errors (SUITE=FOLDER: another edition's checkout)
	$(BIN)/python -m tests.conformance $(SUITE)
	$(BIN)/python -m tests.conformance.h2spec
	$(BIN)/python -m tests.conformance.http3

clients: venv ## Ask the demo site with every client there is, in each protocol it speaks
	@scripts/debian-packages $(TEST_PACKAGES)
	$(BIN)/python -m tests.clients

docs: venv ## Write docs/configuration.md and docs/middleware.md anew
	@$(BIN)/python scripts/docs

lock: venv ## Resolve the dependencies anew
	@scripts/lock

venv:
	@scripts/setup-venv

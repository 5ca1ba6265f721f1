# Everything one does here. `make` alone lists it.
# Variables: PYTHON=python3.12 (for a new .venv), FOR=30s (demo), WORKERS=2 (up), UPGRADE=1 (lock), ARGS=… (bench, unit),
# TESTERS=1 (processes for tests)

BIN := .venv/bin
PACKAGES := contracts logs consumer producer online_model recommender dashboard livesegments
PYTHON ?=
export PYTHON
# Many tests wait for servers and processes, so one more than the cores of the smallest machine.
SPREAD = -n $(or $(TESTERS),3) --dist loadfile --no-loadscope-reorder
# In CI, whose machine is shared, a few tests that fail are run again, alone (ADR 38).
ONCE_MORE = $(if $(filter true,$(CI)),|| $(BIN)/python scripts/once_more.py)
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help setup demo test suite browser check format lint types unit bench soak reliability secured cluster fuzz audit up down lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: .venv/dev.done ## the environment in .venv, exactly as locked; again only when the lock changes

demo: .venv/runtime.done ## a shop, its live segments in this terminal and on pages; FOR=30s ends by itself
	@$(BIN)/livesegments demo $(if $(FOR),--for $(FOR))

test: lint ## everything: lint, types, unit, contract, integration, fault and browser tests
	@$(MAKE) -j2 types suite
	@$(if $(ARGS),,$(MAKE) browser)

suite: .venv/dev.done
	@echo "== tests"
	@$(BIN)/pytest -q --durations=20 $(SPREAD) --ignore tests/browser $(ARGS) $(ONCE_MORE)

# Apart: Chromium takes whatever cores there are, and other tests have deadlines.
browser: .venv/dev.done ## the pages in Chromium
	@echo "== tests in a browser"
	@$(BIN)/pytest -q -n 2 --dist loadfile --durations=5 tests/browser $(ARGS) $(ONCE_MORE)

check: lint types unit ## the fast part: format, lint, types, unit tests, doctests

format: .venv/dev.done ## put the code into shape
	@$(BIN)/ruff check -q --fix . || true
	@$(BIN)/ruff format .

lint: .venv/dev.done
	@echo "== format and lint"
	@$(BIN)/ruff format -q --check --diff .
	@$(BIN)/ruff check -q .

types: .venv/dev.done
	@echo "== types"
	@$(BIN)/mypy

unit: .venv/dev.done
	@echo "== unit tests and doctests"
	@$(BIN)/pytest -q -m "not slow" $(SPREAD) $(PACKAGES) tests/unit $(ARGS)

bench: .venv/dev.done ## how fast it is, 25 minutes: writes docs/performance.md; ARGS="--only views --runs 1"
	@$(BIN)/python -m benchmarks.performance $(ARGS)

soak: .venv/dev.done ## 500 kills of three workers, then an hour of rebalances; everything is checked at the end
	@$(BIN)/python -m tests.soak kills $(ARGS)
	@$(BIN)/python -m tests.soak rebalances $(ARGS)

reliability: .venv/dev.done ## every fault, for longer than in CI, and the table of docs/reliability.md; ARGS=-k redis for some
	@RELIABILITY=1 $(BIN)/pytest -q -o timeout=600 tests/faults $(ARGS)

secured: .venv/dev.done ## contract and integration tests on servers with TLS, SCRAM and log-ins
	@$(BIN)/python -m tests.servers.secured $(BIN)/pytest -q tests/contract tests/integration $(ARGS)

cluster: .venv/dev.done ## contract and integration tests with rows and views in a Redis Cluster
	@$(BIN)/python -m tests.servers.local_cluster $(BIN)/pytest -q tests/contract tests/integration $(ARGS)

fuzz: .venv/dev.done ## made-up records and settings, half an hour; FUZZ_EXAMPLES=1000, FUZZ_SECONDS=60 of atheris
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -q -o timeout=7200 tests/security/test_fuzz.py $(ARGS)
	@if $(BIN)/python -c 'import atheris' 2>/dev/null; then \
		$(BIN)/python -m tests.security.fuzz_decoder -max_total_time=$(or $(FUZZ_SECONDS),60); \
	else echo "No atheris here: $(BIN)/python -m pip install --group fuzz"; fi

audit: .venv/dev.done ## known vulnerabilities in what is locked; AUDIT=required fails where nothing can be looked up
	@$(BIN)/python scripts/audit.py

up: ## Kafka, Redis, workers and a simulated shop in containers; WORKERS=2
	@docker compose up --build --detach --wait --scale worker=$(or $(WORKERS),1)
	@docker compose ps --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'
	@echo "Look: docker compose exec worker livesegments segments    Stop: make down"

down: ## stop the containers; what they stored stays (docker compose down --volumes drops it)
	@docker compose down

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) pyproject.toml --extra embedded --group build

lock: .venv/dev.done ## requirements*.lock from pyproject.toml; UPGRADE=1 takes the newest versions
	@$(COMPILE) --output-file requirements.lock
	@$(COMPILE) --extra explore --extra xlsx --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock
	@! grep -nE '://|^-' requirements.lock requirements-dev.lock

clean: ## remove what the others made: .venv, .state, caches
	@rm -rf .venv .state .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/runtime.done: requirements.lock pyproject.toml
	@scripts/environment.sh requirements.lock
	@touch $@

# The development lock holds the other one whole.
.venv/dev.done: requirements-dev.lock requirements.lock pyproject.toml
	@scripts/environment.sh requirements-dev.lock
	@touch .venv/runtime.done $@

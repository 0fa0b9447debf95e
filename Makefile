# The commands of this repository; `make` alone lists them.
# CI calls these and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
JOBS ?= 2
SOURCES := $(wildcard services shared migrations tests scripts)

##@ Use it

.PHONY: help
help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/.runtime ## Start everything in one process, with sample data (Ctrl-C stops it)
	@# The shell becomes the program, so Ctrl-C reaches it; a clean end by Ctrl-C is no error.
	@exec $(BIN)/closed-loop demo

.PHONY: clean-demo
clean-demo: ## Forget the demo's data
	@rm -rf .demo

##@ Work on it

.PHONY: setup
setup: .venv/.tests ## Make .venv with the locked dependencies and the test tools

.PHONY: test
test: .venv/.tests ## Everything: lint, types, import contracts, the whole suite
	@scripts/install-infrastructure.sh
	@$(MAKE) lint types contracts
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

.PHONY: bench
bench: .venv/.tests ## Measure this machine: ratios against baselines of the same run
	@scripts/install-infrastructure.sh
	@$(BIN)/python -m tests.benchmarks.run_bench $(ARGS)

.PHONY: lint
lint: .venv/.tests ## Formatting and lint
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

.PHONY: types
types: .venv/.tests ## Types, strictly
	$(BIN)/mypy

.PHONY: contracts
contracts: .venv/.tests ## Who may import whom
	$(BIN)/lint-imports

.PHONY: fix
fix: .venv/.tests ## Format, and mend what lint can mend
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: coverage
coverage: .venv/.tests ## The suite with branch coverage, and a report
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

.PHONY: soak
soak: .venv/.tests ## What takes too long for the suite (SECONDS=120 of chaos, STREAM=20000 posts)
	CLOSED_LOOP_TEST_EXAMPLES=$(or $(EXAMPLES),100) $(BIN)/pytest -n0 tests/adapters/test_described_api.py
	CLOSED_LOOP_TEST_STREAM=$(or $(STREAM),20000) $(BIN)/pytest -n0 -s -m "soak or not soak" tests/faults/test_mixed_stream.py
	CLOSED_LOOP_TEST_SOAK_SECONDS=$(or $(SECONDS),120) $(BIN)/pytest -n0 -s -m soak tests --ignore tests/faults/test_mixed_stream.py

.PHONY: mutants
mutants: .venv/.tests ## Change each guarding line and expect its test to fail (ONLY=word)
	@$(BIN)/python scripts/run_mutants.py $(ONLY)

.PHONY: migration
migration: .venv/.tests ## Draft a migration from the tables: make migration name=add_something
	@test -n "$(name)" || { echo 'say what it does: make migration name=add_something' >&2; exit 2; }
	@folder=$$(mktemp -d); trap 'rm -r "$$folder"' EXIT; \
	number=$$(printf '%04d' $$(($$(ls migrations/versions/[0-9]*.py | wc -l) + 1))); \
	export CLOSED_LOOP_DATABASE_URL="sqlite+aiosqlite:///$$folder/drafting.db"; \
	$(BIN)/alembic upgrade head && \
	$(BIN)/alembic revision --autogenerate -m "$(name)" --rev-id "$$number" && \
	$(BIN)/ruff check --fix --quiet --exit-zero migrations; $(BIN)/ruff format --quiet migrations

.PHONY: messages
messages: .venv/.tests ## Collect visible texts into the catalogues, list those untranslated
	@$(BIN)/python scripts/messages.py

.PHONY: pictures
pictures: .venv/.tests ## Take the pictures of the documentation of the running demo
	@scripts/install-infrastructure.sh
	@$(BIN)/python -m tests.browser.pictures

.PHONY: lock
lock: ## Write requirements/*.txt from pyproject.toml (UPGRADE=1 takes newer releases)
	@PYTHON=$(PYTHON) UPGRADE=$(UPGRADE) scripts/lock.sh

.PHONY: clean
clean: clean-demo ## Forget everything that these commands made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
	  .coverage .coverage.* build dist

# The environment: one stamp a stage, older than what it was made from means stale. A stage is
# stamped only when it is whole, so an interrupted one is done again.

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Closed Loop needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'making .venv' >&2
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.runtime: .venv/.made requirements/base.txt requirements/build.txt pyproject.toml
	@echo 'installing the locked dependencies' >&2
	@$(PIP) install --require-hashes -r requirements/base.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.tests: .venv/.runtime requirements/test.txt
	@echo 'installing the test tools' >&2
	@$(PIP) install --require-hashes -r requirements/test.txt
	@touch $@

# What a developer or a newcomer runs; all but the Elasticsearch server lives in .venv and .sandbox of this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help install demo dev test lint reference bench chaos clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

install: $(STAMP) ## Make .venv with everything in it

$(STAMP): setup.cfg pyproject.toml constraints.txt deploy/prerequisites.sh
	@python=$$(bash deploy/prerequisites.sh); \
	echo "Installing into .venv; this takes some minutes."; \
	"$$python" -m venv .venv; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install ## Backfill three days of a generated tenant into a real Elasticsearch
	@$(BIN)/wiz-dagster demo

dev: install ## The same services, kept running, with Dagster on http://127.0.0.1:3000
	@exec $(BIN)/wiz-dagster dev

test: install ## Run the tests
	@$(BIN)/python -m pytest

lint: install ## Check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

reference: install ## Write docs/reference anew from the field tables and settings
	@$(BIN)/python -m scripts.write_reference

bench: install ## Measure a large partition, rate limit, refresh, receiver (by wrk), spool, transforms, sinks (QUICK=1: run three)
ifdef QUICK
	@$(BIN)/python -m benchmarks.transform --count 500
	@$(BIN)/python -m benchmarks.sink.client --count 1000 --rounds 1
	@$(BIN)/python -m benchmarks.rate_limit --seconds 10
else
	@$(BIN)/python -m benchmarks.large_partition
	@$(BIN)/python -m benchmarks.rate_limit
	@$(BIN)/python -m benchmarks.refresh
	@$(BIN)/python -m benchmarks.receiver
	@$(BIN)/python -m benchmarks.sensor_tick
	@$(BIN)/python -m benchmarks.spool
	@$(BIN)/python -m benchmarks.transform
	@$(BIN)/python -m benchmarks.sink.client
endif

SEED ?= 7
MINUTES ?= 10

chaos: install ## Let faults strike the whole pipeline, then compare with the tenant's truth (SEED=7 MINUTES=10)
	@$(BIN)/wiz-dagster sandbox chaos --seed $(SEED) --minutes $(MINUTES)

clean: ## Remove .venv, the demo's state and what tools left behind
	rm -rf .venv .sandbox build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Every target does all its own set-up: on a fresh machine `make demo` or `make test` alone is enough.
PY   ?= python3
BIN  := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all check format bench golden lock clean

help: ## Show what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMP) ## Create .venv with the package, all extras, the SDKs and the test tools

$(STAMP): pyproject.toml requirements.lock
	$(PY) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: install ## Run the whole product on a small app and a local provider, and print its report
	$(BIN)/otel-llm-cost demo

test: install ## Run the tests (under ten minutes on two cores)
	$(BIN)/python -m pytest -q -m "not slow"

test-all: install ## Run the tests, long parts included
	$(BIN)/python -m pytest -q

check: install ## Format, lint, types and import layers, without changing a file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## Measure the overhead: per call, per chunk, per price, per start
	$(BIN)/python -m benchmarks

golden: install ## Rewrite generated artefacts (dashboards, DDL, help) for review in the diff
	$(BIN)/python -m otel_llm_cost.config > docs/settings.md
	$(BIN)/python -m otel_llm_cost.ledger.document > docs/ledger.md
	$(BIN)/python -m otel_llm_cost.normalise.pack
	$(BIN)/python -m otel_llm_cost.pricing.pack
	$(BIN)/otel-llm-cost dashboards build
	$(BIN)/python -m pytest -q --inline-snapshot=fix tests || true

lock: ## Refresh requirements.lock from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --all-extras --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--no-emit-package otel-llm-cost -o requirements.lock pyproject.toml

clean: ## Remove the virtual environment and caches
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

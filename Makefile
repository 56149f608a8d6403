# make install   an environment in .venv with everything for work and tests
# make demo      install, train hand-written digits, measure them, draw a grid (about two minutes after the install)
# make test      every test;  make quick: without the slow ones
# make lint      ruff and mypy: style, formatting, types;  make types: mypy alone;  make format: let ruff write both
PYTHON ?= python3
BIN := .venv/bin
# a process a core, of one thread; who is done takes over half of what another has left. At the end the ten slowest.
TESTS := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal --durations 10

.PHONY: install demo test quick lint types format
install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch .venv/installed

demo: install
	$(BIN)/transgan train
	$(BIN)/transgan evaluate runs/digits
	$(BIN)/transgan sample runs/digits to=grid seeds=0-99

test: install
	$(TESTS)

quick: install
	$(TESTS) -m "not slow"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

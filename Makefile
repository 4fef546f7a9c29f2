# A fresh machine needs `make demo` (the quick board) and `make test`; both set up .venv by themselves.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
WORKERS ?= 2
STORE  ?= results.sqlite

.PHONY: demo test test-slow lint bench boards clean
.DEFAULT_GOAL := demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mfbench needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) --editable '.[dev]'
	@touch $@

demo: $(VENV)/.run  ## run benchmarks/quick.toml, write the board (Markdown and web page) to leaderboards-demo/ and print it
	$(BIN)/mfbench run benchmarks/quick.toml --workers $(WORKERS) --store $(STORE)
	$(BIN)/mfbench publish --html --store $(STORE) --suite quick --out leaderboards-demo
	@cat leaderboards-demo/quick/README.md

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m 'not slow' --numprocesses $(WORKERS) --dist loadfile

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

bench: $(VENV)/.dev
	$(BIN)/python -m pytest benchmarks -m 'not slow'

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy mfbench

boards: $(VENV)/.dev  ## the published boards are what their records give
	$(BIN)/mfbench publish --check --out leaderboards

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

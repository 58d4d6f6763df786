# Two commands for a newcomer: `make quickstart` and `make test`. Each does all the set-up it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
OVERRIDES ?=

.PHONY: quickstart test test-all lint bench clean

quickstart: $(VENV)/.installed-user
	@$(BIN)/alpaca-pipe setup local
	@$(BIN)/alpaca-pipe run quickstart $(OVERRIDES)

test: $(VENV)/.installed-dev
	@$(BIN)/alpaca-pipe setup local || echo "without the embedded model: its tests are skipped"
	$(BIN)/python -m pytest -m "not slow and not gpu" -n 2 --dist loadfile

test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not gpu"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/bench -s

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-user: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing alpaca-pipe and what it needs into $(VENV) (a few minutes the first time)"
	@$(PIP) -e '.[local,train,report]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@$(PIP) -e '.[local,train,report,scale,dev]'
	@touch $@

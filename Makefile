# Two commands for a newcomer: `make quickstart` and `make test`. Each does all the set-up it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
OVERRIDES ?=
unexport PYTHONDONTWRITEBYTECODE  # hundreds of Pythons are started here: each would compile all of it anew

.PHONY: quickstart vicuna-small constitutional-small rlhf-small orca-small ligo-small test test-all lint docs bench bench-teachers bench-curate bench-forecast bench-generate bench-train chaos findings clean

quickstart: $(VENV)/.installed-user
	@$(BIN)/alpaca-pipe setup local
	@$(BIN)/alpaca-pipe run quickstart $(OVERRIDES)

# A published system in small, on a fresh clone too: docs/published.md.
vicuna-small constitutional-small rlhf-small: $(VENV)/.installed-user
	@$(BIN)/alpaca-pipe setup local
	@$(BIN)/alpaca-pipe run $@ $(OVERRIDES)

orca-small: $(VENV)/.installed-user
	@$(BIN)/alpaca-pipe setup local
	@$(BIN)/alpaca-pipe run orca-small $(OVERRIDES)
	@$(BIN)/alpaca-pipe run orca-small-strong generate.extend=orca-small@1 $(OVERRIDES)

ligo-small: $(VENV)/.installed-user  # no model to fetch: it draws its own
	@$(BIN)/alpaca-pipe run $@ $(OVERRIDES)

test: $(VENV)/.installed-dev
	@$(BIN)/alpaca-pipe setup local || echo "without the embedded model: its tests are skipped"
	@$(BIN)/alpaca-pipe setup browser || echo "without llama.cpp for browsers: its tests are skipped"
	$(BIN)/python -m pytest -m "not slow and not gpu" -n 3 --dist loadfile --no-loadscope-reorder --ignore=tests/bench

test-all: $(VENV)/.installed-dev
	ALPACA_PIPE_EXAMPLES=2000 $(BIN)/python -m pytest -m "not gpu" --ignore=tests/bench

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The manual, into site/: two of its pages are written from the code first.
docs: $(VENV)/.installed-dev
	@$(BIN)/python -m tools.reference
	$(BIN)/zensical build --strict --clean

bench: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/bench -s

# Asking at full speed, at limits, and beside two peers that it installs into venvs of their own. About 15 minutes.
bench-teachers: $(VENV)/.installed-dev
	$(BIN)/python -m tests.bench.teachers

# Curation: the exact join against brute force, up to a million rows, beside two peers; the cleaning of the 52K; detectors; Ray.
bench-curate: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/bench/test_join.py tests/bench/test_curate.py tests/bench/test_curate_before.py tests/bench/test_scale.py -n0 -s

# Ten real quickstarts, each planned and then run: does P10 to P90 hold what came? About 25 quiet minutes.
bench-forecast: $(VENV)/.installed-dev
	@$(BIN)/alpaca-pipe setup local
	$(BIN)/python -m tests.bench.bands

# Stanford's 52K through the whole of generation, and candidates a second beside brute force. About 8 minutes.
bench-generate: $(VENV)/.installed-dev
	$(BIN)/python -m tests.bench.generate

# The trainer beside a padded Trainer, TRL's packing and a bare loop; BEFORE=FOLDER: beside another checkout too. Then 32
# rows at once beside 8. An hour of 2 cores; stopped, it goes on where it was.
bench-train: $(VENV)/.installed-dev
	@$(BIN)/alpaca-pipe setup local
	$(BIN)/python -m tests.bench.train $(if $(BEFORE),--before $(BEFORE))
	$(BIN)/python -m tests.bench.train --who ours --at-once 8,32 --rounds 3 --rows 288

# Every fault at once and 30 kill -9, online and by batches; fails where a cent is not where it should be.
chaos: $(VENV)/.installed-dev
	$(BIN)/python -m tests.proving.chaos --requests 10000 --kills 30 --concurrency 256
	$(BIN)/python -m tests.proving.chaos --requests 10000 --kills 30 --batches

# Surprises of the libraries that we rest on: does each still behave as its script says? Needs the network; not a part of CI.
findings:
	@$(PYTHON) -m tools.findings

clean:
	rm -rf $(VENV) build dist site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-user: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing alpaca-pipe and what it needs into $(VENV) (a few minutes the first time)"
	@$(PIP) -e '.[local,train,report,language]'
	@$(BIN)/python -m compileall -q alpaca_pipe  # the first command then starts as fast as the second
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@$(PIP) -e '.[local,train,report,scale,dev]'
	@$(BIN)/python -m compileall -q alpaca_pipe
	@touch $@

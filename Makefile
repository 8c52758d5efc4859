# Everything is set up in .venv from pinned versions; nothing else of the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

BENCH_STAMP := $(VENV)/.bench-installed
POSTGRESQL ?=

.PHONY: demo test test-long check bench bench-quick format clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)  ## a synthetic bank lived through a year, in the folder demo/
	$(BIN)/tidings demo --folder demo --force

check: $(STAMP)  ## the quick part: style, types, layers, fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2 --hypothesis-profile=ci -m 'not slow'

test: $(STAMP)  ## everything but the longest, about five minutes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n 2 --hypothesis-profile=ci -m 'not long'

test-long: $(STAMP)  ## kills, the real bank, long properties: some minutes, run by CI
	$(BIN)/pytest -q -n 2 --hypothesis-profile=ci -m long

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $(BENCH_STAMP)

bench: $(BENCH_STAMP)  ## what everything costs, at full size; POSTGRESQL=URL measures that server, not one of its own
	$(BIN)/python -m bench --full $(if $(POSTGRESQL),--postgresql '$(POSTGRESQL)')

bench-quick: $(BENCH_STAMP)  ## the same at smaller sizes, under five minutes
	$(BIN)/python -m bench --quick $(if $(POSTGRESQL),--postgresql '$(POSTGRESQL)')

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) demo outbox bench/results/*.json bench/results/*.png .mypy_cache .ruff_cache .pytest_cache .hypothesis

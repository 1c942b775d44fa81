# Two commands do everything: `make investigate` and `make test`. Both set up on their own.
.DEFAULT_GOAL := help
.PHONY: help setup investigate test test-all fuzz lint types format lock docs picture clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXAMPLE := examples/albania-2022
WORKERS ?= 2
SECONDS ?= 600

help:            ## Say what there is
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/'

$(VENV)/ready-run: requirements/run.txt pyproject.toml | $(VENV)/python-checked
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/ready-dev: requirements/dev.txt $(VENV)/ready-run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/python-checked:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Aleat needs Python 3.11 or later; '$(PYTHON)' is none. Name another: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "Python's venv is missing. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

setup: $(VENV)/ready-dev ## Install everything, tests' needs too

investigate: $(VENV)/ready-run ## Run the main job on the shipped example (a simulation)
	$(BIN)/python $(EXAMPLE)/generate.py
	@rm -rf $(EXAMPLE)/out/case
	ALEAT_KEYS=$(EXAMPLE)/out/keys $(BIN)/aleat investigate \
		$(EXAMPLE)/out/pack $(EXAMPLE)/out/evidence $(EXAMPLE)/out/statements \
		--workspace $(EXAMPLE)/out/case --name "Albania 2022, a simulation" --from "Ally (simulated)" \
		--zone Europe/Tirane

test: $(VENV)/ready-dev ## Lint, types and the fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(WORKERS)

test-all: $(VENV)/ready-dev ## The fast tests and the long ones
	ALEAT_EXAMPLES=200 $(BIN)/python -m pytest -n $(WORKERS) -m "long or not long"

fuzz: $(VENV)/ready-dev ## Fuzz every parser, ten minutes each (or SECONDS=n)
	for target in $$($(BIN)/python -c "from tests.fuzz.targets import TARGETS; print(*TARGETS)"); do \
		$(BIN)/python -m tests.fuzz $$target --seconds $(SECONDS) --seed $$(date +%j) || exit 1; done

lint: $(VENV)/ready-dev ## Check style
	$(BIN)/ruff check .

types: $(VENV)/ready-dev ## Check types
	$(BIN)/mypy

format: $(VENV)/ready-dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:            ## Make the lock anew (needs uv)
	requirements/compile.sh

picture: $(VENV)/ready-dev ## Take the README's picture of the report with a real browser
	$(BIN)/python docs/picture.py

docs: $(VENV)/ready-dev ## Write the generated parts of the reference
	$(BIN)/python docs/reference.py
	$(BIN)/python docs/formats.py
	$(BIN)/python docs/sigma_coverage.py
	$(BIN)/python docs/corpora.py

clean:           ## Remove what the recipes made
	rm -rf $(VENV) $(EXAMPLE)/out .mypy_cache .ruff_cache .pytest_cache

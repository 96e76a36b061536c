# `make env` first; `make demo` shows a till, the line going down, and the settlement.
PYTHON ?= python3
EXTRA ?= dev
UV ?= uv
VENV := .venv/bin
# One more than there are processors: many tests wait for a browser, a disk or another process.
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))

# Tests start many Pythons: what one has compiled the next shall find, whatever the surroundings say.
unexport PYTHONDONTWRITEBYTECODE

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*## */  make \1@/p' $(MAKEFILE_LIST) | awk -F@ '{ printf "%-20s %s\n", $$1, $$2 }'

env:  ## .venv with the tallypoint command (EXTRA=till, central or dev)
	@$(PYTHON) deploy/bootstrap.py --extra $(EXTRA)

demo: env  ## a small coalition, alive in the browser (ONCE=1: play the story once and end)
	$(VENV)/tallypoint demo $(if $(ONCE),--once)

test: env  ## all tests
	$(VENV)/python -m pytest -n $(WORKERS) --dist worksteal

coverage: env  ## all tests, with the lines they did not reach
	$(VENV)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term

faults: env  ## kills, power cuts, bad disks and bad lines, all of them (up to an hour; a spread of them runs with the tests)
	TALLYPOINT_FAULTS_LONG=1 $(VENV)/python -m pytest tests/faults -s -q

lint: env  ## style, by ruff
	$(VENV)/python -m ruff check

types: env  ## kernel and sync, strictly typed
	$(VENV)/python -m mypy

imports: env  ## which folder may import which
	$(VENV)/lint-imports --no-cache

bench: env  ## how fast it is here
	$(VENV)/python -m bench

mutants: env  ## mistakes that no test notices, by mutmut (about half an hour; GROUP="amounts lots": these alone)
	$(VENV)/python -m tests.mutation $(GROUP)

requirements:  ## the hashed lists of packages, from pyproject.toml (UPGRADE=1: newest versions)
	@command -v $(UV) >/dev/null || { echo "make requirements needs uv: install it with pip, then try again"; exit 2; }
	@for extra in dev till central; do \
	    test $$extra = dev || same='--constraint requirements-dev.txt'; \
	    $(UV) pip compile pyproject.toml --quiet --universal --generate-hashes --python-version 3.11 \
	        --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command 'make requirements' \
	        $(if $(UPGRADE),--upgrade) $$same --extra $$extra --output-file requirements-$$extra.txt || exit 1; \
	done

clean:  ## what tools leave behind; the environment stays
	rm -rf build dist *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help env demo test coverage faults lint types imports bench mutants requirements clean

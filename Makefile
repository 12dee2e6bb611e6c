# Needs GNU make and Python 3.11 or later. PYTHON=/path/to/python make ... chooses another one.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

# What takes its time, needs root, or kills things. `make test` leaves it out.
SLOW := slow or chaos or cluster
# What comes up in its own time; not in the gate: .venv/bin/pytest -m by_hand
BY_HAND := by_hand
# Two processes, and no file is parted: its tests share what it has made. tests/conftest.py says which
# come first.
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install search test test-slow test-all lint format site clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY)  ## the packages of constraints.txt, into .venv

search: $(READY)  ## the quick start: the longest delay after which a digit is still told
	@$(BIN)/longspan search

test: $(READY)  ## the tests that every change must pass: minutes, without root
	@$(BIN)/pytest $(SIDE_BY_SIDE) -m 'not ($(SLOW) or $(BY_HAND))'

test-slow: $(READY)  ## the others: long searches, searches under fire, a cluster of three machines
	@$(BIN)/pytest $(SIDE_BY_SIDE) -m '($(SLOW)) and not $(BY_HAND)'

test-all: test test-slow  ## both

lint: $(READY) site  ## formatting, lint, types, who may import whom, and the site's links
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)  ## bring the code into shape
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

site: $(READY)  ## the documentation as a site, in site/; a link that leads nowhere is an error
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/mkdocs build --strict

clean:  ## remove the environment, builds and caches; runs/ stays
	rm -rf .venv build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is absent while packages are installed and written last. So an installation that was cut
# off is made again from nothing, and a changed list of packages brings the environment up to date.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Longspan needs Python 3.11 or later; say which: make PYTHON=/path/to/python" >&2; \
		exit 1; }
	@echo "Installing the packages of constraints.txt into .venv; the first time takes minutes"
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@rm -f $@
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@

# The commands of a contributor. They need Python 3.11 or newer and, for some tests, a few Debian packages
# (tests/tools/packages.sh); what is missing is named, and what was skipped for it. CONTRIBUTING.md says more.

PYTHON ?= python3
VENV ?= .venv
# Extra arguments for pytest, as in: make test ARGS="-k interrupt"
ARGS ?=
# How many mutated copies are tried at a time.
JOBS ?= 2

BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
RESULTS = .pytest_cache/results.jsonl
SOURCES = $(shell find wrapperkernel examples tests pyproject.toml -name '*.py' -o -name '*.toml')

# The demo's notebook, the page that it makes, and where its kernels are registered.
TOUR = examples/notebooks/bash-tour.ipynb
PAGE = build/demo/bash-tour.html
WHERE = --sys-prefix

.PHONY: demo help test check lint format types protocol mutate soak bench packages clean

help:
	@echo 'make demo      a tour of the bash kernel, as a page and for JupyterLab'
	@echo 'make test      all tests, once            make lint      format and style'
	@echo 'make check     lint, types and all tests  make types     mypy --strict'
	@echo 'make protocol  row, test, result          make format    rewrite files as lint wants them'
	@echo 'make mutate    break each row on purpose  make soak      long tests and repeats'
	@echo 'make bench     beside other kernels       make clean     remove what these commands made'

# The kernels in .venv, a notebook run by one of them, and the page that it makes.
demo: $(PAGE)
	@echo 'The tour, as it ran:  $(PAGE)'
	@echo 'To try it yourself:   $(BIN)/jupyter lab $(TOUR)'

$(PAGE): $(STAMP) $(shell find wrapperkernel examples -name '*.py') tests/tools/demo.py $(TOUR)
	$(BIN)/python -m wrapperkernel.install $(WHERE)
	$(BIN)/python -m tests.tools.demo $(TOUR) $@

# All tests, the checks of docs and architecture among them. Results of some alone would mislead `make protocol`.
test: $(STAMP) packages
	$(BIN)/python -m pytest $(if $(ARGS),,--results=$(RESULTS)) $(ARGS)

check: lint types test

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(STAMP)
	$(BIN)/mypy

# Uses the results of the last run of all tests, or runs the tests of rows if something changed since.
protocol: $(RESULTS)
	$(BIN)/python -m tests.tools.protocol $(RESULTS)

$(RESULTS): $(STAMP) $(SOURCES) | packages
	-$(BIN)/python -m pytest -m row --results=$@

mutate: $(STAMP) packages
	$(BIN)/python -m tests.tools.mutate -j$(JOBS) $(ARGS)

soak: $(STAMP) packages
	$(BIN)/python -m pytest --soak -m 'soak or repeat' -o faulthandler_timeout=3600 $(ARGS)

bench: $(STAMP)
	$(BIN)/python -m bench $(ARGS)

packages:
	@sh tests/tools/packages.sh

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v < (3, 11) and sys.exit("wrapperkernel needs Python 3.11 or newer; $(PYTHON) is %d.%d (make PYTHON=python3.12 ...)" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

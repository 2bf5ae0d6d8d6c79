# Two commands do everything: `make run` and `make test`. The rest is for working on Gatehouse itself.

PYTHON := $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The pins name every package, so nothing is resolved: pip would try a newer release of "coverage[toml]" than the pinned
# "coverage" and then refuse it for want of a hash. The check says whether a pin is missing.
INSTALL_PINS := $(PIP) install --require-hashes --no-deps --requirement
INSTALL_ITSELF := $(PIP) install --no-deps --no-build-isolation --editable . && $(PIP) check

.PHONY: run setup test check format bench lock clean browser

run: $(VENV)/.installed
	@$(BIN)/gatehouse up --demo --open

setup: $(VENV)/.installed

test: $(VENV)/.installed-dev browser
	@$(BIN)/python -m pytest -m "not e2e and not benchmark" -n 2
	@$(BIN)/python -m pytest -m "e2e and not benchmark"

check: $(VENV)/.installed-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev browser
	@$(BIN)/python -m tests.benchmarks

# Pins every package with its hashes; names no index, so the machine's own is used.
lock: $(VENV)/.installed-dev
	@$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --upgrade pyproject.toml --group build -o requirements.txt
	@$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --constraint requirements.txt pyproject.toml --group build --group dev -o requirements-dev.txt

clean:
	@rm -rf $(VENV) build dist data/demo

browser: $(VENV)/.installed-dev
	@$(BIN)/python tests/e2e/chromium.py

$(VENV)/bin/python:
	@echo "Setting up with $(PYTHON) in $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Gatehouse needs Python 3.11 or newer; found " + sys.version.split()[0] + ".")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what Gatehouse needs (a minute or two, once) …"
	@$(INSTALL_PINS) requirements.txt
	@$(INSTALL_ITSELF)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what the tests need (a minute or two, once) …"
	@$(INSTALL_PINS) requirements-dev.txt
	@$(INSTALL_ITSELF)
	@touch $@ $(VENV)/.installed

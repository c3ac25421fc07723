# `make run` and `make test` need Python 3.11+ and make, nothing else. PYTHON=python3.13 picks another interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lab record clean

run: .venv/installed
	$(BIN)/persona run --preset smoke

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/pytest --cov --cov-report=term --durations=10

lab: .venv/installed
	$(BIN)/jupyter lab notebooks

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv .venv
	@echo "Installing the pinned packages (about a minute) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@

clean:
	rm -rf .venv outputs

# `make run` and `make test` need Python 3.11+, make and libgomp. PYTHON=python3.13 picks another interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lab docs record clean

# Some containers set this variable. Each of our many processes would then compile every module that it imports.
unexport PYTHONDONTWRITEBYTECODE

run: .venv/installed
	$(BIN)/persona run --preset smoke

# slipcover counts the lines that ran; with coverage.py's tracing the tests take a third longer. Three workers: many
# tests wait for a process that starts.
test: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mypy
	$(BIN)/python -m slipcover --source persona_lib -m pytest -n 3 --no-loadscope-reorder --durations=10

lab: .venv/installed
	$(BIN)/persona lab

# The pages of docs/ as a site, with that of the commands and the reference of functions; a warning is an error.
docs: .venv/tested
	$(BIN)/python -W error docs/commands.py
	$(BIN)/python -W error docs/reference.py outputs/docs/reference
	$(BIN)/python -m sphinx -q -W --keep-going docs outputs/docs
	@echo outputs/docs/index.html

# Asks the embedded model everything anew: a fresh recording, and the notebooks' committed outputs replayed from it.
record: .venv/installed
	rm -f outputs/record.sqlite*
	PERSONA_STORE=outputs/record.sqlite $(BIN)/persona run --preset smoke --out outputs/record
	$(BIN)/python -c "from persona_lib.store import Store; \
	    print(Store('outputs/record.sqlite').write_recording('tests/recordings/smoke.jsonl'), 'replies recorded')"
	PERSONA_OFFLINE=1 $(BIN)/jupyter nbconvert --to notebook --execute --inplace --log-level WARN \
	    --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.store_widget_state=False notebooks/*.ipynb

# A new pip is twice as fast as the one that comes with Python 3.11; if the upgrade fails, the old one does the work.
# --no-compile halves the time: Python compiles a module when it is first imported.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13 ...")'
	@echo "1 of 4: an environment of its own in .venv"
	@$(PYTHON) -m venv .venv
	@echo "2 of 4: the installer"
	-@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade -c constraints.txt pip
	@echo "3 of 4: the pinned packages (about a minute)"
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -c constraints.txt -e ".[humans]"
	@echo "4 of 4: the embedded model"
	@$(BIN)/python -m persona_lib.local
	@touch $@

# What only tests need beyond that: their tools and the other extras.
.venv/tested: .venv/installed
	$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -c constraints.txt -e ".[test,docs,hub,inspect]"
	touch $@

clean:
	rm -rf .venv outputs

# `make demo` and `make test` work on a fresh clone with Python >= 3.10, pip and make; a second call installs nothing.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test clean

demo: .venv/ready
	$(BIN)/python samples/demo.py

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "error: $$($(PYTHON) --version) came; wanted Python 3.10 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@# Debian's python3 may come without venv; virtualenv does the same there
	$(PYTHON) -m venv .venv || { $(PYTHON) -m pip install --quiet --target .venv-tool virtualenv && PYTHONPATH=.venv-tool $(PYTHON) -m virtualenv .venv; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,train,export,dicom,dev]'
	@touch $@

clean:
	rm -rf .venv .venv-tool demo-out

# `make demo` and `make test` work on a fresh clone with Python >= 3.10, pip and make; a second call installs nothing.
# `make demo` installs what a user needs, everything else what a developer needs.
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all fuzz gallery docs docs-serve hosts requirements licences clean

demo: .venv/demo
	$(BIN)/python samples/demo.py

# The documentation as a site in the folder site/, and the same at http://127.0.0.1:8000
docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-serve: docs
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8000

# Every recipe trained for half a minute on samples: docs/gallery.md
gallery: .venv/ready
	$(BIN)/python -m samples.gallery

# The packages of a workstation with the hashes of their wheels, for all systems and versions of Python; needs uv and a network
LOCK = uv pip compile pyproject.toml -c constraints.txt --universal --python-version 3.10 --generate-hashes --only-binary :all: \
  --no-annotate --custom-compile-command 'make requirements' --quiet --extra
MEDICAL = --extra dicom --extra tiff --extra volume --extra sign
requirements:
	$(LOCK) cpu -o requirements/cpu.txt
	$(LOCK) gpu -o requirements/gpu.txt
	$(LOCK) cpu $(MEDICAL) -o requirements/cpu-medical.txt
	$(LOCK) gpu $(MEDICAL) -o requirements/gpu-medical.txt

# The licences of all packages: docs/reference/licences.md
licences: .venv/ready
	$(BIN)/python docs/licences.py

# A process for each core. Tests stay in the order of their files, whose fixtures they share, until a process has none left.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

# What a change must pass
test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "not slow"

# That, and recipes, foreign hosts, installs, the README's commands, benchmarks: what CI runs
test-all: test hosts
	$(PYTEST) -m slow

# Damaged files for all that is read, for FUZZ_SECONDS in all; FUZZ=tiff limits it to some of tests/fuzz/targets
FUZZ_SECONDS ?= 600
fuzz: .venv/ready
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m tests.fuzz $(FUZZ)

# The npm packages of the samples in Node and in the browser. Without npm their tests say so and skip.
hosts: samples/node/node_modules/ready samples/browser/node_modules/ready

samples/%/node_modules/ready: samples/%/package-lock.json
	@if command -v npm >/dev/null; then npm ci --no-audit --no-fund --prefix $(dir $<) && touch $@; \
	  else echo "npm is not installed: the tests of $(dir $<) will be skipped"; fi

# An environment without packages. pip is the last part of it.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "error: this is $$($(PYTHON) --version); Python 3.10 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	@# Debian's python3 may come without venv; virtualenv does the same there
	$(PYTHON) -m venv .venv || { $(PYTHON) -m pip install --quiet --target .venv-tool virtualenv && PYTHONPATH=.venv-tool $(PYTHON) -m virtualenv .venv; }

# What training, export and running need
.venv/demo: pyproject.toml constraints.txt | .venv/bin/pip
	$(INSTALL) -e '.[cpu,train,export]'
	@touch $@

# That, all other extras and the tools of the developers
.venv/ready: pyproject.toml constraints.txt | .venv/bin/pip
	$(INSTALL) -e '.[cpu,train,export,objects,dicom,tiff,volume,structure,metrics,qt,sign,docs,dev]'
	@touch .venv/demo $@

clean:
	rm -rf .venv .venv-tool site demo-out samples/*/node_modules samples/c/segment

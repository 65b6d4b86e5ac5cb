# make setup   everything a fresh Debian machine lacks, then .venv/bin/jackfield
# make demo    the main job, on two real hypervisors on this machine (KEEP=1 leaves it running)
# make test    everything: check, properties, contracts, laboratory
# make check   format, lint, types, imports, unit tests; under a minute
# make lock    resolve pyproject.toml into requirements/*.txt
SHELL := /bin/bash
BIN := .venv/bin
.PHONY: setup check test demo lock clean

setup:
	@setup/setup.sh --system

.venv/.locked: requirements/dev.txt requirements/bootstrap.txt
	@setup/setup.sh

check: .venv/.locked
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit tests/golden --cov --cov-report=term --cov-fail-under=100

test: setup
	$(MAKE) check
	$(BIN)/pytest -n 2 --dist worksteal tests/contract tests/api tests/sim
	$(BIN)/pytest -n 2 --dist worksteal tests/property
	$(BIN)/pytest -v --durations=10 tests/lab

demo: setup
	$(BIN)/python -m lab.demo $(if $(KEEP),--keep)

# No index address may stand in a lock: uv writes none unless asked, and none is asked for.
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock"
lock:
	[ -x $(BIN)/uv ] || { python3 -m venv .venv && $(BIN)/python -m pip install --quiet uv; }
	$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(LOCK) pyproject.toml --extra dev -o requirements/dev.txt
	$(LOCK) pyproject.toml -o requirements/run.txt

clean:
	rm -rf .venv .lab .demo

# `make demo` and `make test` do all set-up themselves; `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: help setup demo test check test-all bench clean

help:
	@echo "make demo      a whole plant on this machine, with a fault that develops while you watch"
	@echo "make test      the test suite (under 5 minutes, no root)"
	@echo "make check     format, lint, types, import contracts, tidiness"
	@echo "make test-all  the tests that need a browser, Mosquitto, Kafka or other people's clients"
	@echo "make bench     the benchmarks"
	@echo "make setup     .venv from uv.lock (the others call it)"
	@echo "make clean     remove .venv and what was built"

setup: $(STAMP)

$(STAMP): uv.lock pyproject.toml .ci/bootstrap.py
	$(PYTHON) .ci/bootstrap.py
	$(BIN)/python -m mitra warm-up
	@touch $(STAMP)

demo: setup
	$(BIN)/mitra demo

test: setup
	$(BIN)/pytest -n 2 --dist worksteal -m "not full"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/test_tidy.py

test-all: setup
	.ci/parts
	$(BIN)/pytest -m full

bench: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

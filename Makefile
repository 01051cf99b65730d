# Nothing here prints to stdout before the command it runs: `make demo ARGS="--once --json"` is
# read by programs. Set-up speaks on stderr and is a no-op when nothing changed.
.DEFAULT_GOAL := help
.PHONY: help setup setup-board setup-tests demo test test-quick lint bench nightly
.SILENT:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
ARGS ?=
PYTEST := $(BIN)/pytest -n 2 --dist worksteal -q --durations=10

help:
	echo "make setup       make .venv with the pinned packages"
	echo "make setup-board the same, with what builds images and flashes boards"
	echo "make demo        100 stations, 24 hours over MQTT, one paid and audited epoch (ARGS=... for flags)"
	echo "make test        lint, types, import rules and every suite (PYTEST_ARGS=... for flags)"
	echo "make test-quick  the same with fewer random cases, without tests marked slow"
	echo "make lint        ruff, mypy, import-linter"
	echo "make bench       all benchmarks, as JSON"
	echo "make nightly     every suite with far more random cases, and the soaks"

setup:
	PYTHON="$(or $(PYTHON),python3)" .ci/setup

setup-board: setup
	.ci/setup-board

setup-tests: setup
	.ci/setup-tests

demo: setup
	$(BIN)/cairn demo $(ARGS)

lint: setup
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	[ ! -f .venv-stubs/cairn-setup ] || $(BIN)/mypy --config-file firmware/mypy.ini
	$(BIN)/lint-imports --no-logo

test: setup-tests lint
	$(PYTEST) --hypothesis-profile=ci $(PYTEST_ARGS)

test-quick: setup-tests lint
	$(PYTEST) --hypothesis-profile=default -m "not slow" $(PYTEST_ARGS)

bench: setup-tests
	$(BIN)/cairn bench sign --json
	$(BIN)/cairn bench heap --json
	$(BIN)/cairn bench rewards --json
	$(BIN)/cairn bench coverage --json
	$(BIN)/cairn bench quality --json

nightly: setup-tests lint
	CAIRN_NIGHTLY=1 $(PYTEST) --hypothesis-profile=nightly $(PYTEST_ARGS)

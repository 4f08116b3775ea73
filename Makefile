# Two commands matter: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_TOOLS := poppler-utils libnss3-tools softhsm2 opensc faketime
# Demo and tests start many processes: they find their modules compiled.
export PYTHONDONTWRITEBYTECODE :=
SUDO_APT = $(shell [ "$$(id -u)" = 0 ] && command -v apt-get)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long check bench bench-growth serve proto pages lock clean

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(STAMP) ## Create the virtual environment and install the locked requirements

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  if [ -n "$(SUDO_APT)" ]; then apt-get update -qq && apt-get install -y -qq python3-venv; \
	  else echo 'python3 lacks venv. Run as root: apt-get install python3-venv' >&2; exit 1; fi; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Do the whole job for real and leave it in demo-out/
	$(BIN)/diya demo --out demo-out

test: $(STAMP) ## Run every test, a process a core
	@{ command -v pdfsig && command -v certutil && command -v softhsm2-util && command -v pkcs11-tool && command -v faketime; } >/dev/null || { \
	  [ -n "$(SUDO_APT)" ] && apt-get update -qq && apt-get install -y -qq $(TEST_TOOLS); } || \
	  echo 'A tool is missing, and what needs it will be skipped. Run as root: apt-get install $(TEST_TOOLS)' >&2
	$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal || { \
	  echo 'What failed above runs once more, alone: a race for the cores is told from a fault.' >&2; \
	  $(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none; }

test-long: $(STAMP) ## Simulate 20,000 cities against the oracle of the law (tens of minutes)
	$(BIN)/python -m tests.simulation --seeds 20000

check: $(STAMP) ## Lint, types, layers, contract, pages of the law
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check --lint --breaking
	$(BIN)/python -m gateway.lawbook --check

bench: $(STAMP) ## Measure, as ratios beside each limit, in one run
	$(BIN)/python -m tests.bench

bench-growth: $(STAMP) ## Proof, append and memory up to ten million entries (ten minutes, 8 GB of disk)
	BENCH_GROWTH=1 $(BIN)/python -m tests.bench.growth

serve: $(STAMP) ## Serve the demo's gateway (run `make demo` first)
	$(BIN)/diya serve --config demo-out/diya.toml

proto: $(STAMP) ## Regenerate gateway/pb from proto/
	$(BIN)/python proto/generate.py

pages: $(STAMP) ## Write docs/law.md, docs/law/ and docs/reasons.md from the code
	$(BIN)/python -m gateway.lawbook

lock: ## Compile requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -o requirements.lock

clean: ## Remove the environment and what the demo left
	rm -rf $(VENV) demo-out demo-out-broken

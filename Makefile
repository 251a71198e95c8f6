# Everything a user or a developer does, one word each. A new machine needs Python 3.11 or later and make.
PYTHON ?= python3
VENV := .venv
CLIENTS := .venv-clients
MLFLOW := .venv-mlflow
NODE := .venv-node
FUZZING := .venv-fuzz
BIN := $(VENV)/bin
NATIVE := build/native
PIP := -m pip install --quiet --disable-pip-version-check
# A lock names everything there is to install, so nothing is left for pip to resolve: its older resolvers try versions beside a pin.
LOCKED := $(PIP) --no-deps --require-hashes

.PHONY: setup serve native test test-native test-slow test-gpu fuzz check bench bench-peers load sbom clean
.DEFAULT_GOAL := setup

setup: $(VENV)/.served
# What `make native` has compiled is used, and brought up to date first.
serve: setup $(if $(wildcard $(NATIVE)/.made),native)
	$(if $(wildcard $(NATIVE)/.made),PYTHONPATH=$(NATIVE)) $(BIN)/penstock serve --registry examples/registry

# The path of a prediction in machine code: needs a C compiler and some minutes.
native: $(NATIVE)/.made
$(NATIVE)/.made: $(VENV)/.developed native/build.py native/train.py $(shell find src -type f ! -name '*.pyc')
	$(BIN)/python native/build.py --into $(NATIVE) --train

# Two processes, since tests wait a lot, and each file in one of them, since its tests share servers. In the order of the directories:
# the quick tests, which come last, fill what the slow ones leave.
test: $(VENV)/.developed $(CLIENTS)/.made $(MLFLOW)/.made $(if $(shell command -v npm),$(NODE)/.made)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The suites that ask a server from outside, against what was compiled.
test-native: native $(CLIENTS)/.made
	PYTHONPATH=$(CURDIR)/$(NATIVE) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/contract tests/integration/http tests/integration/access tests/integration/publishing tests/clients tests/unit/domain

test-slow: $(VENV)/.developed $(CLIENTS)/.made $(MLFLOW)/.made $(if $(shell command -v npm),$(NODE)/.made)
	$(BIN)/python -m pytest -m slow

test-gpu: $(VENV)/.developed
	$(BIN)/python -m pytest -m gpu tests/gpu

# Bytes that nobody would send, against everything that reads bytes. FUZZ="--target json_body --cases 1000000" chooses.
fuzz: $(FUZZING)/.made
	$(FUZZING)/bin/python fuzz/run.py $(FUZZ)

check: $(VENV)/.developed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python requirements/lock.py --check
	$(BIN)/python protos/generate.py --check
	$(BIN)/python docs/generate.py --check

bench: $(VENV)/.developed
	$(BIN)/python benchmarks/run.py

# The first run installs the peers, each into .venv-peers/NAME (2.2 GB in all). PEERS="--peers mosec --rounds 1" chooses.
bench-peers: $(VENV)/.developed
	$(BIN)/python benchmarks/run_peers.py $(PEERS)

# What a server is made of (CycloneDX 1.6): of the lock for the CPU, and of the one for GPUs.
sbom: $(VENV)/.served
	$(BIN)/python requirements/sbom.py serve.txt --output dist/penstock.cdx.json
	$(BIN)/python requirements/sbom.py serve-gpu.txt --output dist/penstock-gpu.cdx.json

load: $(VENV)/.developed
	$(BIN)/python loadtests/run.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

# The package itself is installed last and without its dependencies: those come from the lock file alone. It is compiled as pip compiles
# what it copies: where the environment keeps no bytecode, every start would do that anew, for a third of its time.
$(VENV)/.served: $(VENV)/bin/python requirements/serve.txt pyproject.toml
	$(BIN)/python $(LOCKED) -r requirements/serve.txt
	$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q src
	touch $@

$(VENV)/.developed: $(VENV)/.served requirements/dev.txt
	$(BIN)/python $(LOCKED) -r requirements/dev.txt
	touch $@

# Clients pin other versions of protobuf than the server runs with, so they live in an environment of their own.
$(CLIENTS)/.made: requirements/clients.txt requirements/perf.txt
	test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python $(LOCKED) -r requirements/clients.txt
	$(CLIENTS)/bin/python $(LOCKED) --upgrade --target $(CLIENTS)/perf -r requirements/perf.txt
	touch $@

# The client of Node's programs, where npm is there; without it, or without its registry, the tests with it are skipped.
$(NODE)/.made: tests/clients/node/package-lock.json
	-mkdir -p $(NODE) && cp tests/clients/node/package.json $< $(NODE) && \
	  npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent --fetch-retries 1 --fetch-timeout 20000 && touch $@

# MLflow's own server and client, against which the registry source of that name is tested; it needs other versions than ours.
$(MLFLOW)/.made: requirements/mlflow.txt
	test -x $(MLFLOW)/bin/python || $(PYTHON) -m venv $(MLFLOW)
	$(MLFLOW)/bin/python $(LOCKED) -r requirements/mlflow.txt
	touch $@

# The engines of the fuzzing, and beside them what a server is made of, in the versions that it runs with.
$(FUZZING)/.made: requirements/fuzz.txt pyproject.toml
	test -x $(FUZZING)/bin/python || $(PYTHON) -m venv $(FUZZING)
	$(FUZZING)/bin/python $(LOCKED) -r requirements/fuzz.txt
	$(FUZZING)/bin/python $(PIP) --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) $(CLIENTS) $(MLFLOW) $(NODE) $(FUZZING) .venv-peers build dist

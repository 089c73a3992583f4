# Needs Python 3.11+ and make; everything else comes from uv.lock.
PYTHON ?= python3
PORT ?= 8000
UV_VERSION = 0.13.9
BIN = .venv/bin
UV = UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv .uv/bin/uv

.PHONY: serve test test-deep test-faults test-clients soak check fix schema bench bench-overload clean

serve: .venv/.runtime ## start the gateway with the embedded sandbox of all providers
	@exec $(BIN)/syncgraph serve --port $(PORT)

test: .venv/.dev ## run the tests
	@$(BIN)/python -m pytest -n 2 --ignore=tests/clients --ignore=tests/deep --ignore=tests/faults

test-deep: .venv/.dev ## the invariants of lists and upstream policies with many examples, and 10,000 runs walked (3 minutes on 2 idle cores)
	@SYNCGRAPH_EXAMPLES=4000 $(BIN)/python -m pytest -n 2 tests/test_engine.py tests/test_policies.py tests/test_quota_hour.py tests/test_tenants.py tests/deep

test-faults: .venv/.dev ## every fault at every provider, and the figures of docs/reliability.md (4 minutes on 2 idle cores)
	@SYNCGRAPH_EXAMPLES=4000 $(BIN)/python -m pytest -n 2 tests/faults tests/test_quota_hour.py tests/test_tenants.py --ignore=tests/faults/test_bulkheads.py
	@$(BIN)/python -m pytest tests/faults/test_bulkheads.py

soak: .venv/.dev ## ten minutes at 70 % of capacity with a fault a second: is anything held on to?
	@$(BIN)/python -m bench.soak

test-clients: .venv/.clients ## the programs of others, from npm and PyPI, against the gateway (brings its own Node.js)
	@$(BIN)/python -m pytest tests/clients

check: .venv/.dev ## format, lint, types, layers, and "schema.graphql is current"
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/syncgraph schema --check schema.graphql

fix: .venv/.dev ## format and apply the safe fixes
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

schema: .venv/.dev ## print the schema after a change
	@$(BIN)/syncgraph schema > schema.graphql.new && mv schema.graphql.new schema.graphql

bench: .venv/.dev ## profile 500 runs with 15 fields; what 1,000 subscribers cost
	@$(BIN)/python bench/profile_runs.py
	@$(BIN)/python bench/subscribers.py

bench-overload: .venv/.dev ## the most the gateway does, and what becomes of ten times as much (about 2 minutes)
	@$(BIN)/python -m bench.overload

clean:
	rm -rf .venv .uv

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed (make PYTHON=...)")'
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.runtime: .uv/bin/uv pyproject.toml uv.lock
	@$(UV) sync --locked --quiet --inexact --no-dev --python $(PYTHON)
	@touch $@

.venv/.dev: .uv/bin/uv pyproject.toml uv.lock
	@$(UV) sync --locked --quiet --python $(PYTHON)
	@touch $@ .venv/.runtime

.venv/.clients: .uv/bin/uv pyproject.toml uv.lock
	@$(UV) sync --locked --quiet --group clients --python $(PYTHON)
	@touch $@ .venv/.dev .venv/.runtime

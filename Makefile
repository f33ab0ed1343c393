# The same as plain commands stands in README.md.

PYTHON ?= python3
ARGS ?=
PYTEST_ARGS ?=
UPGRADE ?=
RUNS ?= 20

# Relative paths only, so that the path of the checkout may hold spaces.
RUN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(INSTALLED) ## Invent a writer's two years and build everything from them (ARGS='--years 3')
	$(RUN)/personal-pipeline demo $(ARGS)

.PHONY: up
up: $(INSTALLED) ## Start the lineage UI and the daemon on this machine, over your own data
	$(RUN)/personal-pipeline up $(ARGS)

.PHONY: test
test: lint types pytest ## Lint, types, definitions, dbt build and all tests

.PHONY: lint
lint: $(INSTALLED) ## Only the linter and the formatter's check
	$(RUN)/ruff check
	$(RUN)/ruff format --check

.PHONY: types
types: $(INSTALLED) ## Only the type checker
	$(RUN)/mypy

# In a home of its own, so that your data is left alone. A test does it too, where more is imported
# already.
.PHONY: validate
validate: $(INSTALLED) ## Only the check that Dagster can load all definitions
	@mkdir -p .venv/home
	PERSONAL_PIPELINE_HOME=.venv/home $(RUN)/dagster definitions validate --workspace workspace.yaml

.PHONY: pytest
pytest: $(INSTALLED) ## Only the tests (PYTEST_ARGS='-m "not slow"')
	$(RUN)/pytest --numprocesses auto --dist loadfile $(PYTEST_ARGS)

# Each run is another choice of examples; what fails is shown with how to see it again.
.PHONY: fuzz
fuzz: $(INSTALLED) ## Property tests with random examples, again and again until one fails (RUNS=20)
	@set -e; for run in $$(seq $(RUNS)); do \
		$(RUN)/pytest --hypothesis-profile=long -m hypothesis --numprocesses auto \
			--dist loadfile $(PYTEST_ARGS); done

.PHONY: bench
bench: $(INSTALLED) ## Measure again what docs/decisions/ claims
	@set -e; for name in event_log lake dbt_call refresh hundred_streams alerts_year drop_latency fit \
		inbox verify search oracle; do \
		$(RUN)/python -m "benchmarks.$$name"; done

.PHONY: pictures
pictures: $(INSTALLED) ## Draw the pictures of the README again, with an installed Chromium
	$(RUN)/python docs/images/draw.py

.PHONY: session
session: $(INSTALLED) ## Write the session with a language model in docs/ again
	$(RUN)/python -m personal_pipeline_tests.assistant.session

.PHONY: licences
licences: $(INSTALLED) ## Under which licences the packages of the lock are; fails on an unknown one
	$(RUN)/python -m personal_pipeline.licences

.PHONY: install
install: $(INSTALLED) ## Make .venv from requirements.lock

.PHONY: lock
lock: ## Compile requirements.lock from pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet uv==0.13.9
	.lock-venv/bin/uv pip compile pyproject.toml --extra site --extra mcp --group build --group dev \
		--universal --python-version 3.11 --generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--quiet --output-file requirements.lock $(UPGRADE)

.PHONY: clean
clean: ## Remove .venv and everything that tools made; never your data
	rm -rf .venv .lock-venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		sql/target sql/logs
	find personal_pipeline personal_pipeline_tests benchmarks -name __pycache__ -type d \
		-prune -exec rm -rf {} + 2>/dev/null || true

# The lock is complete, so nothing is left to resolve. uv, which is in the lock, takes a tenth of
# pip's CPU time. It does not read pip's configuration: where only that names a reachable index, pip
# installs.
LOCKED := --quiet --require-hashes --no-deps --requirement
$(INSTALLED): requirements.lock pyproject.toml setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else \
		"Python 3.11, 3.12 or 3.13 is needed. Name one: make PYTHON=python3.12")'
	@echo "Installing into .venv, about half a minute, only when requirements.lock has changed."
	$(PYTHON) -m venv .venv
	awk '/^[a-z]/ { found = /^uv==/ } found' requirements.lock > .venv/uv.txt
	$(RUN)/python -m pip install $(LOCKED) .venv/uv.txt
	$(RUN)/uv pip install --python .venv --compile-bytecode $(LOCKED) requirements.lock \
		|| $(RUN)/python -m pip install $(LOCKED) requirements.lock
	$(RUN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

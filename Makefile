# make demo    set everything up, then run the main job in a sandbox
# make demo EXECUTOR=local-docker    the same with hosts on your own Docker engine
# make demo HA=1    two services on a PostgreSQL of their own, one of which is killed in the middle
# make demo PIPELINES=1   the pipelines server: a wait list, a cancellation, kill -9 in the middle, and on it goes
# make test    set everything up, then pass the tests of five to ten minutes
# make test-long [LONG="long and not soak"]   those that need an engine, a Debian, a foreign program or whole services for long: twenty minutes or more; what CI has the time for
# make simulate [N=1000] [SEED=7] [PAIRS=1] [STAYING=1] [SECONDS=60]   kill the service everywhere in virtual time; one seed
#     again; only worlds in which several processes share one store, or hosts stay; as many as there is time for
# make simulate-plans [N=200] [SEED=7]   kill workstreams of paas-plans everywhere in virtual time; one seed again
# make simulate-pipelines [N=200] [SEED=7]   kill the pipelines server everywhere in virtual time; one seed again
# make mutants [ARGS='NAME ...']    small changes of meaning in the core: is each one noticed by the tests?
# make bench [ARGS='--only burst-200']   beside heptapod-paas-runner 1.1.1, which gets an environment of its own; a quarter of an hour
# make bench-plans [ARGS='--only busy']    paas-plans beside DBOS 3, which gets an environment of its own; five minutes
# make bench-pipelines [ARGS='--only busy']    requests a second of the pipelines server; a minute
# make bench-quick   what a job takes that can be counted exactly, against its bounds
# make check   formatting, lint, types, import contracts
# make pictures    those of the pages in docs/images/, by Debian's chromium
# make dist    wheels and sdists of paas-runner and paas-plans, and the wheel of the inner runner for hosts' images, in dist/
# make deb     the Debian package, in dist/
# make image   the image of the service, paas-runner, on a Docker engine
# make manual  manual pages, and completion for bash, zsh and fish, in dist/manual/
# make site    the documentation site, in dist/site; a warning is an error

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
LONG ?= long# 'long and not soak' is what CI has the time for
WORKERS ?= 4# tests wait more than they compute
unexport PYTHONDONTWRITEBYTECODE# with it each process that a test starts compiles us anew, and pytest each test

PEER ?= .venv-peer/bin/heptapod-paas-runner
DBOS ?= .venv-dbos/bin/python

.PHONY: demo test test-long simulate simulate-plans simulate-pipelines mutants bench bench-plans bench-pipelines bench-quick check format dist deb image manual site pictures clean
.DEFAULT_GOAL := test

demo: .venv/ready
ifdef PIPELINES
	@$(BIN)/python pipelines/examples/demo.py
else
ifeq ($(EXECUTOR),local-docker)
	@PYTHON=$(BIN)/python packaging/images/build
endif
	@$(BIN)/paas-runner demo $(if $(EXECUTOR),--executor $(EXECUTOR)) $(if $(HA),--ha) $(ARGS)
endif

test: .venv/ready
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m 'not long' $(ARGS)

test-long: .venv/ready
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m '$(LONG)' $(ARGS)

simulate: .venv/ready
	@$(BIN)/python -m tests.simulation.simulate $(if $(SEED),--seed $(SEED),--runs $(or $(N),1000) $(if $(PAIRS),--pairs) $(if $(STAYING),--staying) $(if $(SECONDS),--seconds $(SECONDS)))

simulate-plans: .venv/ready
	@$(BIN)/python -m tests.plans.simulate $(if $(SEED),--seed $(SEED),--runs $(or $(N),200))

simulate-pipelines: .venv/ready
	@$(BIN)/python -m tests.paas_pipelines.simulate $(if $(SEED),--seed $(SEED),--runs $(or $(N),200))

mutants: .venv/ready
	@$(BIN)/python -m tests.mutants.run $(ARGS)

bench: .venv/ready $(PEER)
	@$(BIN)/python -m benchmarks --peer $(PEER) $(ARGS)

bench-quick: .venv/ready
	@$(BIN)/python -m benchmarks --only counts --rounds 1 --check $(ARGS)

bench-plans: .venv/ready $(DBOS)
	@$(BIN)/python -m benchmarks.plans --peer $(DBOS) $(ARGS)

bench-pipelines: .venv/ready
	@$(BIN)/python -m benchmarks.pipelines $(ARGS)

.venv-dbos/bin/python:
	@$(PYTHON) -m venv .venv-dbos
	@.venv-dbos/bin/pip install --quiet --disable-pip-version-check 'dbos>=3,<4'

.venv-peer/bin/heptapod-paas-runner:
	@$(PYTHON) -m venv .venv-peer
	@.venv-peer/bin/pip install --quiet --disable-pip-version-check heptapod-paas-runner==1.1.1

check: .venv/ready
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy packaging/site/*.py
	@$(BIN)/mypy plans/examples/*.py pipelines/examples/*.py
	@$(BIN)/lint-imports
	@PYTHONPATH=examples/paas-executor-slurm $(BIN)/lint-imports examples/paas-executor-slurm/pyproject.toml

format: .venv/ready
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

dist: .venv/ready
	@$(BIN)/python -m build --outdir dist
	@$(BIN)/python -m build --outdir dist plans
	@$(BIN)/python -m build --outdir dist pipelines
	@$(BIN)/python -m build --outdir dist workflows
	@$(BIN)/python packaging/inner/build.py dist

deb: .venv/ready
	@$(BIN)/python packaging/debian/build.py dist

image: .venv/ready
	@$(BIN)/python packaging/container/build.py $(ARGS)

manual: .venv/ready
	@$(BIN)/python packaging/manual/build.py dist/manual

site: .venv/ready
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "dist/site/index.html"

.venv/ready: pyproject.toml plans/pyproject.toml pipelines/pyproject.toml workflows/pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@echo "setting up .venv (once, half a minute or so) ..." >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'hatchling>=1.27' editables
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-build-isolation --editable '.[dev]' --editable './plans[postgres,secrets]' --editable './pipelines[automation]' --editable ./workflows
	@touch $@

pictures: .venv/ready
	@$(BIN)/python -m tests.web.pictures
	@$(BIN)/python -m tests.paas_pipelines.pictures

clean:
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

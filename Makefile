# The comment above a target is its help. PYTHON=python3.12 picks another interpreter than python3.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KERNELS := $(shell find kernels stream/core -name '*.py' 2>/dev/null) stream/shell/worker/rehearsal.py
# tests that the interpreter gets through in four minutes, with four sets of parameters of each (tests/conftest.py)
INTERPRETED := tests/kernels tests/core/test_oracle.py tests/core/test_scores.py tests/core/test_deadline_urgency.py

.DEFAULT_GOAL := help
.PHONY: help setup up down demo test bounds quick python-kernels check compose-check bench bench-demo bench-pipeline \
        bench-fairness bench-latency bench-recovery bench-export bench-auction bench-auction-large bench-skill \
        bench-compile figures check-auction check-golden chaos fuzz lock clean

# list the targets
help:
	@awk '/^# / { text = substr($$0, 3) } \
	  /^[a-z][a-z-]*:/ { if (text) printf "  %-20s %s\n", substr($$1, 1, index($$1, ":") - 1), text } \
	  !/^# / { text = "" }' $(MAKEFILE_LIST)

# virtual environment, locked dependencies, compiled kernels (at once when up to date)
setup: $(VENV)/kernels.stamp

$(VENV)/setup.stamp: pyproject.toml requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "$(PYTHON) is Python " + sys.version.split()[0] + "; expected 3.11 or newer: make PYTHON=python3.11 …")'
	@PYTHON='$(PYTHON)' sh requirements/install.sh $(VENV) dev
	@touch $@

$(VENV)/bench.stamp: $(VENV)/setup.stamp requirements/bench.lock
	@PYTHON='$(PYTHON)' sh requirements/install.sh $(VENV) bench
	@touch $@

$(VENV)/kernels.stamp: $(VENV)/setup.stamp $(KERNELS)
	@$(BIN)/python -m kernels & kernels=$$!; $(BIN)/python -m stream.shell.worker.rehearsal && wait $$kernels
	@touch $@

# start a whole deployment on this machine (Kafka, topics, a worker); Ctrl-C or `make down` stops it
up: setup
	@$(BIN)/allocator up $(ARGS)

# stop it; its data stay
down: setup
	@$(BIN)/allocator down $(ARGS)

# replay a labelling project through a real Kafka, kill a worker on the way, print the report
demo: setup
	@$(BIN)/allocator demo $(ARGS)

# all tests, the integration tests on a real Kafka that they start themselves
test: setup
	@$(BIN)/python -m pytest $(ARGS)
	@$(MAKE) --no-print-directory bounds

# histories with every index of the compiled kernels checked, with little room and in every regime of matching
bounds: setup
	@NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/$(VENV)/checked-kernels \
	  $(BIN)/python -m pytest tests/bounds tests/core/test_room.py tests/core/test_oracle.py tests/core/test_gold.py

# unit and property tests, a minute: no Kafka, nothing marked slow, and nothing that takes as long as that
quick: setup
	@$(BIN)/python -m pytest --quick $(ARGS)

# the kernels run by Python, without a compiler: the same bytes, and which of their lines the tests come through
python-kernels: setup
	@NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest -m "not kafka and not compiled" $(INTERPRETED) $(ARGS)
	@$(BIN)/coverage report

# ruff, mypy --strict, the layers' contracts, the image and the compose file, known vulnerabilities
check: setup compose-check
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python requirements/audit.py

# Dockerfile, docker-compose.yml and, where promtool is installed, the Prometheus configuration
compose-check: setup
	@$(BIN)/hadolint Dockerfile
	@GRAFANA_ADMIN_PASSWORD=checked-not-run $(BIN)/docker-compose config --quiet
	@if command -v promtool >/dev/null; then promtool check config monitoring/prometheus.yml; fi

# every benchmark but the largest, one after the other
bench: bench-demo bench-pipeline bench-latency bench-recovery bench-export bench-fairness bench-auction bench-skill \
       bench-compile

# accuracy and judgments of the replayed project, three seeds, beside the usual practice
bench-demo: setup
	@$(BIN)/python -m load.bench.bench_demo $(ARGS)

# events per second of one worker beside a plain Faust agent on the same broker
bench-pipeline: setup
	@$(BIN)/python -m load.bench.bench_pipeline $(ARGS)

# what a flood in one pool costs the others, on the same and on another partition
bench-fairness: setup
	@$(BIN)/python -m load.bench.bench_fairness $(ARGS)

# time from an event to the reader of its assignments beside a one-record transaction
bench-latency: setup
	@$(BIN)/python -m load.bench.bench_latency $(ARGS)

# recovery, restart and failover with a million rows, beside a plain Faust table
bench-recovery: setup
	@$(BIN)/python -m load.bench.bench_recovery $(ARGS)

# a million judgments taken out, beside reading their topic plainly
bench-export: setup
	@$(BIN)/python -m load.bench.bench_export $(ARGS)

# the auction beside pinned solvers, every family of markets
bench-auction: $(VENV)/bench.stamp setup
	@$(BIN)/python -m load.bench.bench_auction $(ARGS)

# the auction at a million tasks, once
bench-auction-large: $(VENV)/bench.stamp setup
	@$(BIN)/python -m load.bench.bench_auction --large $(ARGS)

# the skill model beside crowd-kit on recorded labels
bench-skill: $(VENV)/bench.stamp setup
	@$(BIN)/python -m load.bench.bench_skill $(ARGS)

# what compiling costs: all kernels, and what one changed line concerns (ARGS="--before COMMIT" compares)
bench-compile: setup
	@$(BIN)/python -m load.bench.bench_compile $(ARGS)

# the documents' figures, from docs/figures; BENCH=bench-latency runs that bench first and keeps what it measured
figures: $(if $(filter bench-auction bench-skill,$(BENCH)),$(VENV)/bench.stamp) setup
	@$(BIN)/python -m load.bench.keep $(BENCH) $(ARGS)

# the auction against an exact solver on thousands of random small markets
check-auction: setup
	@$(BIN)/python -m load.checks.check_auction $(ARGS)

# the core against that of another commit (BASE=…), byte for byte on a thousand random histories
check-golden: setup
	@nice -n 10 $(BIN)/python -m tests.golden $(BASE) $(ARGS)

# every fault we can produce against a real Kafka: nothing lost, nothing twice, nobody let in (up to 30 minutes)
chaos: setup
	@$(BIN)/python -m load.chaos $(ARGS)

# ten million random and mutated byte strings through every decoder
fuzz: setup
	@$(BIN)/python -m load.fuzz $(ARGS)

# write the lock files anew from pyproject.toml (needs uv)
lock:
	@sh requirements/compile.sh

# remove the virtual environment, caches and the local broker's data
clean:
	@if [ -x $(BIN)/allocator ]; then $(BIN)/allocator kafka stop || true; fi
	@rm -rf $(VENV) run build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find kernels stream load tests -name __pycache__ -prune -exec rm -rf {} +

# MediScan. `make help` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-bench
LOCKS := gateway ml_worker gemini_worker fusion embedded test
FUZZ := tests/unit/gateway/test_fuzz.py tests/unit/shared/test_image_fuzz.py tests/integration/gateway/test_raw_http.py \
  tests/integration/gateway/test_openapi.py
CODE := services shared embedded mediscan tests benchmarks

.PHONY: help demo run check test fuzz chaos soak backlog e2e outage gemini-memory bench waiters lists train evaluate dead-letters lock clean

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 16

demo: $(VENV)/.embedded ## Start the cluster, send one image through it, show the result, stop (IMAGE=scan.png for your own)
	@$(BIN)/python -m embedded demo $(if $(IMAGE),--image "$(IMAGE)")

run: $(VENV)/.embedded ## Start the cluster and leave it up until Ctrl-C
	@$(BIN)/python -m embedded run

check: $(VENV)/.test ## ruff, strict mypy, security lint, Kubernetes schemas, known vulnerabilities in the locks
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/bandit -q -c pyproject.toml -r services shared embedded mediscan
	@$(BIN)/python -m tests.support.kubernetes
	@$(BIN)/python -m tests.support.audit

test: $(VENV)/.test ## All tests but the compose ones (ARGS="-k …" for some)
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

fuzz: $(VENV)/.test ## Search for input that hurts, for about ten minutes: other examples in each run (TIMES=50 for how many)
	FUZZ_TIMES=$(or $(TIMES),10) $(BIN)/python -m pytest $(FUZZ) $(ARGS)

e2e: $(VENV)/.test ## Build and start the compose stack, drive jobs through it and through a killed worker
	$(BIN)/python -m pytest tests/e2e $(ARGS)

outage: $(VENV)/.test ## The pace of ML readings with Gemini down against Gemini well, in turns (ARGS="--kind overloaded")
	$(BIN)/python -m benchmarks.gemini_outage $(ARGS)

gemini-memory: $(VENV)/.test ## Whether what a Gemini worker holds grows for ever (ARGS="--jobs 20000 --unbound")
	$(BIN)/python -m benchmarks.gemini_memory $(ARGS)

bench: $(VENV)/.test $(PEERS)/.installed ## How fast, beside whom, and where the time goes: var/bench (ARGS="--short" for four minutes)
	$(BIN)/python -m benchmarks.fastest $(ARGS)

waiters: $(VENV)/.test ## What 1,000 waiting requests cost a gateway (ARGS="--kind stream")
	$(BIN)/python -m benchmarks.waiters $(ARGS)

lists: $(VENV)/.test ## What a list costs with 100,000 finished jobs (ARGS="--over hour")
	$(BIN)/python -m benchmarks.job_list $(ARGS)

chaos: $(VENV)/.test ## Break the cluster while 10,000 jobs run, account for each (ARGS="--jobs 2000 --seed 1 --faults …")
	$(BIN)/python -m tests.chaos run $(ARGS)

soak: $(VENV)/.test ## Half load for 30 minutes: what grows? (ARGS="--minutes 5")
	$(BIN)/python -m tests.chaos soak $(ARGS)

backlog: $(VENV)/.test ## More work than the workers do for 5 minutes: who is refused, does it all end? (ARGS="--minutes 1")
	$(BIN)/python -m tests.chaos backlog $(ARGS)

train: $(VENV)/.test ## Train a model bundle, or say why it must not ship: DATA=folder WEIGHTS=file OUT=folder [ARGS=…]
	$(BIN)/python -m services.ml_worker.training.train --data "$(DATA)" --weights "$(WEIGHTS)" --out "$(OUT)" $(ARGS)

evaluate: $(VENV)/.test ## Judge a bundle: MODEL=bundle-folder DATA=folder [OUT=var/report] [ARGS=…]
	$(BIN)/python -m services.ml_worker.training.evaluate --model "$(MODEL)" --data "$(DATA)" --out "$(or $(OUT),var/report)" $(ARGS)

dead-letters: $(VENV)/.embedded ## Jobs that were given up, newest first (of the cluster that `make run` started)
	@$(BIN)/python -m embedded dead-letters

# The locks name everything there is to install, so pip looks for nothing itself (--no-deps): left to resolve, it goes
# for the newest of whatever is asked for with extras here and without them there, which no hash allows.
lock: ## Pin requirements/*.in to requirements/*.txt with hashes (needs uv)
	cd requirements && for name in test $(filter-out test,$(LOCKS)); do \
	  uv pip compile -q --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
	    $$([ $$name = test ] || echo -c test.txt) $$name.in -o $$name.txt || exit 1; done
	cd requirements && uv pip compile -q --generate-hashes --no-header --no-emit-index-url --python-version 3.11 \
	  bench.in -o bench.txt

clean: ## Remove the virtual environment and all local data
	rm -rf $(VENV) $(PEERS) var .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "mediscan: $(PYTHON) is needed (Debian: python3.11 python3.11-venv), or say PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# One environment: the test set holds everything the embedded set holds, at the same versions.
$(VENV)/.embedded: requirements/embedded.txt | $(VENV)/bin/python
	@echo "installing the locked dependencies (once, about a minute)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-input --no-deps --require-hashes -r $<
	@touch $@

$(VENV)/.test: requirements/test.txt | $(VENV)/bin/python
	@echo "installing the locked dependencies with those of the tests (once, a few minutes)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-input --no-deps --require-hashes -r $<
	@touch $@ $(VENV)/.embedded

# What the peers of `make bench` need, apart from ours: two gigabytes. Without it the report says that they are missing.
$(PEERS)/.installed: requirements/bench.txt
	@$(PYTHON) -m venv $(PEERS)
	@echo "installing the locked dependencies of the peers (once, some minutes)"
	@$(PEERS)/bin/python -m pip install -q --disable-pip-version-check --no-input --no-deps --require-hashes -r $< \
	  || echo "mediscan: the peers could not be installed: the report says so" >&2
	@touch $@

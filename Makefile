# Every target works in a .venv that it makes: Python 3.11 to 3.13, make and a package index are enough.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SPARK_READY := $(VENV)/.ready-spark
BENCH_READY := $(VENV)/.ready-bench
JOBS ?= 2
LOCK := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-annotate --no-header

.PHONY: report test lab lint bench clean lock notebooks spark help

help:  ## what can be asked for
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found on the PATH (name one: make PYTHON=...)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	$(BIN)/python -m ipykernel install --sys-prefix --name lcm_research --display-name "lcm_research" >/dev/null
	@touch $@

$(SPARK_READY): $(READY) requirements-spark.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	@touch $@

$(BENCH_READY): $(READY) requirements-bench.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

report: $(READY)  ## run the embedded studies and publish reports/index.html
	$(BIN)/lcm run cdnow demo

test: $(READY) $(if $(LCM_CI),$(SPARK_READY))  ## lint and the whole test suite
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --nbval --nbval-cell-timeout=120 notebooks

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/lcm lab

bench: $(BENCH_READY)  ## measure against peers and write docs/benchmarks/
	$(BIN)/python benchmarks/survival.py
	$(BIN)/python benchmarks/transitions.py

notebooks: $(READY)  ## run the notebooks on their defaults and store the findings that nbval compares
	$(BIN)/python tools/store_outputs.py

spark: $(SPARK_READY)  ## add Spark to the environment

lock: $(READY)  ## resolve both lock files anew, and write environment.yml from pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/$(LOCK) --extra test pyproject.toml -o requirements.lock
	echo 'pyspark==4.3.*' | $(BIN)/$(LOCK) - --constraint requirements.lock -o requirements-spark.lock
	echo 'scikit-survival>=0.25' | $(BIN)/$(LOCK) - --constraint requirements.lock -o requirements-bench.lock
	$(BIN)/python tools/environment.py

clean:  ## remove the environment and what tools left behind
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

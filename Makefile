# make demo: the main job. make test: the tests. Both create the environment they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

SLURM_DIR ?= /tmp/multimae-slurm

.PHONY: setup demo test check docs bench slurm-up slurm-down all clean
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,rooms,labels,prepare,docs]'
	touch $(STAMP)

demo: setup
	$(BIN)/python experiments/sweep.py --suite nyuv2

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: setup
	for script in $(filter-out %/__init__.py %/straightforward.py %/simulated.py,$(wildcard benchmarks/speed/*.py)); do $(BIN)/python $$script || exit 1; done

# A real Slurm cluster on this machine, to try and to test with: as root, on Debian or Ubuntu.
slurm-up: setup
	$(BIN)/python -m tests.slurm_cluster up $(SLURM_DIR)

slurm-down: setup
	$(BIN)/python -m tests.slurm_cluster down --purge $(SLURM_DIR)

all: check test demo

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

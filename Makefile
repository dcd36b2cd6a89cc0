# `make demo` and `make test` each do all set-up they need on a fresh machine with Python 3.10 or newer.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Prefer a torch that is already there; without an NVIDIA driver install the release the CPU results were measured on.
HAS_TORCH := $(shell $(PYTHON) -c "import torch, sys; sys.exit(tuple(map(int, torch.__version__.split('.')[:2])) < (2, 11))" 2>/dev/null && echo yes)
TORCH := $(if $(shell command -v nvidia-smi 2>/dev/null),torch>=2.11,torch==2.13.0)
# The release that torch 2.13 goes with: what a kernel spills is checked by the byte, and differs between compilers.
TRITON := $(if $(shell command -v nvidia-smi 2>/dev/null),triton>=3.6,triton==3.7.1)
JOBS ?= 2

.PHONY: demo test lint types docs unit bench clean

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: lint types docs unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --pythonpath $(BIN)/python -p compiler

docs: $(STAMP)
	$(BIN)/mkdocs build --strict --quiet

unit: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

bench: $(STAMP)
	$(BIN)/python -m benchmarks cpu --out benchmarks/results

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(if $(HAS_TORCH),--system-site-packages) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(HAS_TORCH),,$(BIN)/python -m pip install --quiet "$(TORCH)")
	$(BIN)/python -m pip install --quiet --editable ".[hf,weights,report,dev]" "$(TRITON)"
	touch $@

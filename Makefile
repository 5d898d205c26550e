# The two commands: `make repro` (the main job) and `make test`.
# The oldest Python that all pinned packages have wheels for, or the next: 3.11, 3.12 or 3.13.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
  $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
STAGES ?= plot claims report

# Compiled bytecode is kept: otherwise each of the forty processes compiles PyTorch's modules again, for two seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: repro test study studies report experiments bench gpu faults audit lint format clean

repro: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro
	@$(BIN)/python -m stages.show

# Two files at a time, each worker in alphabetical order: tests that fork run before those that start threads.
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m mtcnn -n 2 --dist loadfile
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# A named study, e.g. `make study STUDY=lottery-mnist`: its folder is a DVC project of its own.
study: $(VENV)/.installed
	$(BIN)/python -m studies.compose "$(STUDY)"
	cd "studies/$(STUDY)" && PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro $(STAGES)
	@cd "studies/$(STUDY)" && { test -z "$(filter plot,$(STAGES))" || "$(CURDIR)/$(BIN)/python" -m stages.show; }

# Whether the committed results of the named studies come from the present code.
studies: $(VENV)/.installed
	@$(BIN)/python -m studies.compose
	@$(BIN)/python -m studies.status

# Pages to look at, from the tables that there are: of every study, and plots/index.html over all of them.
report: $(VENV)/.installed
	@$(BIN)/python -m stages.report

# At most 25 columns of the experiments: what differs between them.
experiments: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc exp show --only-changed --drop '^(data|models|plots|prunet|stages)/|^metrics/.*csv'

bench: $(VENV)/.installed
	$(BIN)/python -m bench bench/results.json

# Everything that only a GPU can show, in ten minutes. Without one: python -m bench.gpu --device cpu --quick
gpu: $(VENV)/.installed-dev
	$(BIN)/python -m bench.gpu bench/gpu.json

# Kills, full disks, damaged files, a hostile web: about an hour, on a machine that does nothing else.
faults: $(VENV)/.installed-dev
	$(BIN)/python -m faults

# Known vulnerabilities of all that is installed; needs the internet, and fails if it cannot ask (--strict).
audit: $(VENV)/.installed-dev
	$(BIN)/pip-audit --strict --local

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

# uv installs the 5 GB of PyTorch and TensorFlow in a fifth of pip's time.
$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "prunet needs Python 3.11, 3.12 or 3.13 (on Debian and Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv==$(UV_VERSION)

$(VENV)/.installed: requirements.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	$(BIN)/python -m stages.plots_page
	touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt requirements-embedding.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	$(BIN)/python -m stages.plots_page
	touch $@

# Every target sets up what it needs on a fresh machine: a virtual environment, torch first, then the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEBIAN := $(VENV)/.debian

.PHONY: demo test check docs bench fuzz clean

demo: $(READY)  ## simulated hospital tables in, report out
	$(BIN)/attending run studies/demo.yaml

test: $(READY) $(DEBIAN)  ## the everyday suite
	$(BIN)/pytest -n 2 --dist loadfile

check: $(READY)  ## format, lint, types, contracts
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)  ## the component pages and the changelog, made from the code
	$(BIN)/python scripts/docs.py

bench: $(READY)  ## events and patients per second, stage by stage
	$(BIN)/python benchmarks/pipeline.py

fuzz: $(READY)  ## 10,000 damaged files of each format; the everyday suite damages a thousand
	ATTENDING_FUZZ=10000 $(BIN)/pytest tests/property --timeout 3600 -n 2

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

# Debian's Chromium, for the tests that open the report, and PostgreSQL, for those that read from a server; where they
# cannot be installed those tests say so and skip.
$(DEBIAN): $(READY)
	(command -v chromium && ls /usr/lib/postgresql/*/bin/initdb) >/dev/null 2>&1 || (apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium postgresql) || true
	touch $@

clean:
	rm -rf runs $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

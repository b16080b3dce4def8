# Every target installs what it needs into .venv; run and repro make the human corpus too.
BIN := .venv/bin
.DEFAULT_GOAL := run

.PHONY: run repro test check clean

.venv/installed: pyproject.toml constraints.txt
	test -d .venv || python3 -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

run: .venv/installed  ## the whole pipeline, with progress, a closing table and a report
	$(BIN)/herdbook run

repro: .venv/installed  ## plain dvc repro
	test -e data/manifest.json || $(BIN)/herdbook corpus
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

test: .venv/installed  ## all tests
	$(BIN)/pytest -n 2 --dist loadfile

check: .venv/installed  ## lint, format and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:  ## remove what the pipeline wrote; DVC's cache keeps it
	rm -rf runs records reports/index.html

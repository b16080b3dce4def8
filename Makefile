# Every target installs what it needs into .venv; run, repro and serve make the human corpus too, and with
# EXPERIMENT=name are of experiments/name.
BIN := .venv/bin
EXPERIMENTS := $(sort $(patsubst experiments/%/params.yaml,%,$(wildcard experiments/*/params.yaml)))
FOLDER := $(if $(EXPERIMENT),experiments/$(EXPERIMENT),.)
ifneq ($(EXPERIMENT),$(filter $(EXPERIMENTS),$(EXPERIMENT)))
$(error no experiment $(EXPERIMENT); there are: $(EXPERIMENTS); herdbook experiment NAME makes one)
endif
PORT := 4200
.DEFAULT_GOAL := run

.PHONY: run repro serve test check bench docs clean

.venv/installed: pyproject.toml constraints.txt
	test -d .venv || python3 -m venv .venv
	@echo 'installing about 3 GB of packages into .venv, which says nothing for some minutes'
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

$(FOLDER)/data/manifest.json: | .venv/installed
	cd $(FOLDER) && $(CURDIR)/$(BIN)/herdbook corpus

run: .venv/installed  ## the whole pipeline, stages side by side, with progress, a closing table and a report
	cd $(FOLDER) && $(CURDIR)/$(BIN)/herdbook run

repro: .venv/installed $(FOLDER)/data/manifest.json  ## plain dvc repro: the same, one stage after another
	cd $(FOLDER) && PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

serve: .venv/installed $(FOLDER)/data/manifest.json  ## Prefect's UI and the schedules of prefect.yaml, on this machine alone
	cd $(FOLDER) && $(CURDIR)/$(BIN)/python -m flows.schedule --port $(PORT)

test: .venv/installed  ## all tests
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

check: .venv/installed  ## lint, format and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

docs: .venv/installed  ## the documentation as a site, site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/installed  ## measurements that documents cite; over four hours on two cores
	$(BIN)/python -m bench

clean:  ## remove what the pipeline wrote; DVC's cache keeps it
	rm -rf runs records reports/index.html site

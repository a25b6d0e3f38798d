# Needs Python 3.11 or newer and make; everything else is installed below .venv and .uv.
ifeq ($(OS),Windows_NT)
PYTHON ?= py -3.11
BIN := .venv/Scripts
UVBIN := .uv/Scripts
EXE := .exe
else
PYTHON ?= python3
BIN := .venv/bin
UVBIN := .uv/bin
EXE :=
endif
UV := $(shell command -v uv 2>/dev/null || echo $(UVBIN)/uv$(EXE))
RUN_STAMP := .venv/.subscriber.stamp
DEV_STAMP := .venv/.dev.stamp
WEB_STAMP := tests/web/node_modules/.stamp

.DEFAULT_GOAL := menu
.PHONY: menu setup run test check cover bench demo smoke torture lock vendor web clean

menu: ## this menu
	@echo "alertbus: trading alerts that arrive"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(DEV_STAMP) ## install everything for development into .venv

run: $(RUN_STAMP) ## install what the daemon needs and run it (dry run until credentials are set)
	$(BIN)/alertbus-subscriber run

# The tests of the card for React need npm; where there is none, they are skipped, and say so.
test: $(DEV_STAMP) $(if $(shell command -v npm 2>/dev/null),$(WEB_STAMP)) ## install everything and pass the tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(DEV_STAMP) ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

cover: $(DEV_STAMP) ## the tests with line and branch coverage, processes included
	$(BIN)/coverage erase
	$(BIN)/python -m pytest --cov --cov-report=term --cov-report=html:build/coverage

bench: $(DEV_STAMP) ## measure speed as ratios to limits measured in the same run
	$(BIN)/python -m pytest -m benchmark -s tests/benchmarks

demo: $(DEV_STAMP) ## show it: a simulated trader, troubles and the page, on this machine alone
	$(BIN)/python -m tests.demo

smoke: $(RUN_STAMP) ## send a test alert through a running daemon to every channel
	$(BIN)/alertbus-subscriber test all --daemon

SECONDS = 60
SEED = 1
torture: $(DEV_STAMP) ## the kill test: nothing lost, nothing repeated unmarked (SECONDS=60 SEED=1)
	$(BIN)/python -m tests.torture --seconds $(SECONDS) --seed $(SEED)

lock: $(UV) ## renew the hashed requirement files
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra subscriber --extra postgres pyproject.toml -o requirements/subscriber.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra subscriber --extra postgres --group dev pyproject.toml requirements/build.in -o requirements/dev.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/uv.in -o requirements/uv.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/build.in -o requirements/build.txt

vendor: $(WEB_STAMP) ## make the browser's libraries below dashboards/static again, byte by byte, from locked releases
	cd tests/web && node_modules/.bin/esbuild lit-entry.js --bundle --format=esm --minify --target=es2021 --legal-comments=inline --outfile=../../dashboards/static/lit.js
	cp tests/web/node_modules/lit/LICENSE dashboards/static/lit.LICENSE.txt
	cp tests/web/node_modules/swagger-ui-dist/swagger-ui-bundle.js tests/web/node_modules/swagger-ui-dist/swagger-ui.css dashboards/static/docs/
	cp tests/web/node_modules/swagger-ui-dist/LICENSE dashboards/static/docs/swagger-ui.LICENSE.txt
	cp tests/web/node_modules/swagger-ui-dist/NOTICE dashboards/static/docs/swagger-ui.NOTICE.txt
	cp tests/web/node_modules/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt dashboards/static/docs/swagger-ui-bundle.LICENSE.txt

web: $(WEB_STAMP) ## install what the tests of the card for React need (Node.js, npm)

$(WEB_STAMP): tests/web/package.json tests/web/package-lock.json
	cd tests/web && npm ci --no-progress
	@touch $@

clean: ## remove what make installed and built (never a database or a journal)
	rm -rf .venv .uv build dist tests/web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage .coverage.*

$(UVBIN)/uv$(EXE): requirements/uv.txt
	$(PYTHON) -m venv .uv
	$(UVBIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(BIN)/python$(EXE): | $(UV)
	$(UV) venv -q --allow-existing --python "$(shell $(PYTHON) -c 'import sys; print(sys.executable)')" .venv

# Both stamps install into the one .venv; `dev` holds all that `subscriber` does, so a run after a test installs nothing.
$(RUN_STAMP): pyproject.toml requirements/subscriber.txt requirements/build.txt | $(BIN)/python$(EXE)
	$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements/subscriber.txt -r requirements/build.txt
	$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): pyproject.toml requirements/dev.txt | $(BIN)/python$(EXE)
	$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(RUN_STAMP)

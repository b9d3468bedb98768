# Django Garrison. `make help` says what there is.
#
# LINE=5.2 or LINE=6.1 chooses the Django line (default: by the Python that is found),
# PYTHON=/path/to/python3 the interpreter that environments are built with; before `make` or behind.

LINE ?=
# Asked once, and only where it is needed.
PYTHON ?= $(eval PYTHON := $(shell requirements/find-python $(LINE)))$(PYTHON)
VENV = .venv$(if $(LINE),-$(LINE))
BIN = $(VENV)/bin
PACKAGES = $(patsubst %/,%,$(dir $(wildcard */apps.py)))
DATABASE ?= postgresql
WORKERS ?= 2
ARGS ?=
BUILD = "$(PYTHON)" requirements/install.py
BUILD_FLAGS = $(if $(LINE),--line $(LINE))
UPGRADE ?=

.DEFAULT_GOAL := help
.PHONY: help run demo test test-all check format schema bench lock clean run-venv dev-venv

help: ## say what there is
	@printf 'Django Garrison\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@printf '\n%s\n%s\n' \
	  'With LINE=5.2 or LINE=6.1 a target uses that line of Django, with PYTHON=… that interpreter.' \
	  'What `make run` reads from the environment, HOST, PORT and more: docs/running.md'

run: run-venv ## build, start everything on http://127.0.0.1:8000, stop it with Ctrl-C
	@exec $(BIN)/python -m config.starter

demo: run-venv ## visit the running site as a person and as an attacker; look at /admin/ afterwards
	@exec $(BIN)/python -m config.starter.demo

test: dev-venv ## run the tests on servers of their own; DATABASE=sqlite, ARGS='tests/audit -x'
	$(if $(filter sqlite,$(DATABASE)),TEST_DATABASE_URL=sqlite )$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)

test-all: ## run the tests on both lines of Django, and on SQLite
	$(MAKE) test LINE=5.2
	$(MAKE) test LINE=6.1
	$(MAKE) test LINE=5.2 DATABASE=sqlite

check: dev-venv ## lint, types, import contracts, migrations, deployment checks, API schema
	@.ci/check $(BIN) $(PACKAGES)

format: dev-venv ## lay the code out, and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: dev-venv ## write docs/openapi.yaml anew from the code
	@.ci/with-throwaway-keys $(BIN) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

bench: dev-venv ## measure the hot path beside a bare DRF + simplejwt project
	$(BIN)/python bench/hot_path.py

lock: dev-venv ## compile the hashed locks in requirements/ anew; UPGRADE=1 takes newer releases
	@requirements/compile $(BIN)/uv $(if $(UPGRADE),--upgrade)

clean: ## remove environments and caches; var/ and .env stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	for made in .venv .venv-5.2 .venv-6.1; do [ ! -e $$made/made-by-make ] || rm -rf $$made; done
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

run-venv:
	@test -n "$(PYTHON)" && $(BUILD) run $(VENV) $(BUILD_FLAGS)

dev-venv:
	@test -n "$(PYTHON)" && $(BUILD) dev $(VENV) $(BUILD_FLAGS)

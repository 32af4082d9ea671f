# Everything real is in deploy/ (Python, standard library only); `make help` lists what there is.

PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
BOOTSTRAP = $(PYTHON) -m deploy.bootstrap
RUN = .venv/bin/python
UV ?= uv
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --overrides requirements/overrides.txt

.DEFAULT_GOAL := help
.PHONY: help up test check format bench bench-% lock lab-extension clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo '  PERIJOVE_PORT (8000) and PERIJOVE_HOME (~/.perijove) are read by make up.'

up: ## install what is missing and run everything in the foreground
	@$(BOOTSTRAP) runtime
	@exec .venv/bin/perijove up

test: ## install what tests need and run all that can run here
	@$(BOOTSTRAP) dev
	@$(RUN) -m deploy.test_peers
	@exec $(RUN) -m deploy.run_tests

check: ## linters, types, import contracts, fast tests
	@$(BOOTSTRAP) dev
	@exec $(RUN) -m deploy.run_checks

format: ## let ruff format and mend what it can
	@$(BOOTSTRAP) dev
	@$(RUN) -m ruff check --fix-only --quiet .
	@$(RUN) -m ruff format .

bench: bench-start bench-utilisation ## benchmarks that need no data; JSON goes to bench-results/

bench-%: ## one benchmark: start, stampede, kernels, placement TRACES=DIR, utilisation
	@$(BOOTSTRAP) dev
	@exec $(RUN) -m tests.bench.$*

lock: ## for maintainers, with uv: pin the newest allowed versions, with hashes
	$(LOCK) --upgrade pyproject.toml --output-file requirements/control.lock
	$(LOCK) --upgrade pyproject.toml --extra dev --constraint requirements/control.lock \
		--output-file requirements/dev.lock
	$(LOCK) --upgrade requirements/notebook.in --output-file requirements/notebook.lock

lab-extension: ## for maintainers: build the extension of JupyterLab anew, after a change of it
	@$(BOOTSTRAP) dev
	@$(RUN) -m deploy.lab_extension

clean: ## remove what was installed and built in this folder; data and shared environments stay
	rm -rf .venv .envs deploy/proxy/node_modules \
		tests/peers/oidc_provider/node_modules \
		blueprints/library/notebook/labextension/node_modules \
		blueprints/library/notebook/labextension/lib build *.egg-info .pytest_cache .ruff_cache \
		.import_linter_cache .hypothesis

# Everything happens in .venv, in this folder. `make demo` to see it, `make test` to trust it, `make up` to run it.
PYTHON ?= python3
IN = .venv/bin/

.PHONY: help demo gameday test test-long check audit lock bench up clean runtime tools

help:
	@echo "make demo       a whole shop and its app on this machine, webhooks lost and doubled (ONCE=1: bounded, no terminal)"
	@echo "make gameday    rehearse an outage, a rotated secret, poison, and a bug with its replay (ONCE=1: without a terminal)"
	@echo "make test       every test but the long ones          make test-long   those"
	@echo "make check      style, types, import directions       make bench       figures"
	@echo "make lock       requirements*.lock anew, with the hash of every file    make audit   known flaws, or it fails"
	@echo "make up         the app's processes, with DATABASE_URL, REDIS_URL and the rest of the environment"
	@echo "make clean      remove whatever these have made"

gameday: tools
	@exec $(IN)python -m devstore.gameday

demo: tools
	@exec $(IN)python -m devstore.demo

test: tools
	@exec $(IN)python -m pytest -n auto --maxprocesses 4 -m "not long" $(ARGS)

# What it has seen is written into docs/reliability.md, whether or not all went well.
test-long: tools
	@test -n "$(ARGS)" || rm -f .run/reliability.json
	@$(IN)python -m pytest -m long --timeout 1800 $(ARGS); status=$$?; $(IN)python -m tests.reliability.report; exit $$status

check: tools
	@$(IN)ruff check --quiet .
	@$(IN)ruff format --check --quiet .
	@$(IN)mypy --no-error-summary
	@$(IN)lint-imports
	@$(IN)bandit --quiet --configfile pyproject.toml --recursive settings.py supervise.py domain schemas adapters app workers
	@$(IN)python -m pytest -q --no-header --no-summary tests/security/test_lock.py >/dev/null || $(IN)python -m pytest tests/security/test_lock.py
	@$(IN)python .ci/audit.py
	@echo "Style, types, import directions and locks are fine."

# Fails as well where no advisories can be reached; `check` only says so then.
audit: tools
	@$(IN)python .ci/audit.py --must-ask

lock: tools
	@test -x .run/lock/bin/uv || { $(PYTHON) -m venv .run/lock && .run/lock/bin/pip install -qq uv==0.13.9; }
	@for name in requirements requirements-dev .ci/audit; do .run/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate $$name.txt --output-file $$name.lock; done

bench: tools
	@exec $(IN)python -m bench

up: runtime
	@exec $(IN)python supervise.py

runtime:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, and there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) .ci/install.py requirements.lock

tools:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, and there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) .ci/install.py requirements-dev.lock

# A Postgres started by root may lie in the temporary folder, see devstore/servers.py.
clean:
	@find .run -type l -name elsewhere -exec sh -c 'rm -rf -- "$$(readlink "$$1")"' - {} \; 2>/dev/null || true
	@rm -rf .venv .run .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Needs make and Python 3.11 or newer, nothing else: the targets install what they use in .venv.
# Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3

VENV := .venv
RUN := $(VENV)/bin/python
INTERPRETED := NUMBA_DISABLE_JIT=1 BFPEMU_PROFILE=nojit $(RUN)
PIP := $(RUN) -m pip --disable-pip-version-check
# Every path below is relative, so that the checkout may lie under a name with spaces.
MAKEFLAGS += --no-builtin-rules
# Compiled kernels stay in the checkout, for all processes of a run and for the next one.
export BFPEMU_KERNEL_CACHE := $(CURDIR)/build/kernels
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test coverage simulators mutants torture bench lint golden clean

help: ## show this text
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z]*\):.*## /  \1	/p' Makefile

demo: $(VENV)/demo.stamp ## pack the weights of a small network in seven formats and see what each costs
	@$(RUN) tools/demo.py

test: $(VENV)/test.stamp simulators ## every check of the numbers: with the JIT, without it, golden vectors, tables
	$(RUN) -m pytest -n 2
	$(INTERPRETED) -m pytest -n 2 -m 'not slow'
	$(RUN) tools/make_golden_vectors.py --check
	$(RUN) tools/make_spec_tables.py --check

# Not part of `test`: counting lines more than doubles the time of the run without the JIT.
coverage: $(VENV)/test.stamp ## which lines the tests without the JIT do not run
	$(RUN) -m coverage erase
	$(INTERPRETED) -m coverage run -m pytest -n 2 -m 'not slow'
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

simulators: ## install what simulates hardware, with apt, where it is missing and root may
	@tools/install_simulators.sh

mutants: $(VENV)/test.stamp simulators ## how many faulty devices the vectors notice: mutants, then realistic bugs
	$(RUN) tools/mutants.py
	$(RUN) tools/bugs.py

torture: $(VENV)/test.stamp ## damaged and hostile files by the hundred thousand, killed writers, full disks
	$(RUN) tools/torture.py

bench: $(VENV)/bench.stamp ## measure the speed on this machine
	@$(RUN) tools/bench.py

lint: $(VENV)/test.stamp ## style, layers, types
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(VENV)/bin/lint-imports --no-logo
	$(RUN) -m mypy

golden: $(VENV)/demo.stamp ## write the golden vectors and the generated tables anew
	$(RUN) tools/make_golden_vectors.py
	$(RUN) tools/make_golden_sets.py
	$(RUN) tools/make_spec_tables.py

clean: ## remove everything that make made, .venv too
	rm -rf $(VENV) build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find bfpemu tests tools -name __pycache__ -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml when the environment holds what that asks for.
$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "bfpemu needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another interpreter: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "'$(PYTHON) -m venv' did not work; on Debian and Ubuntu it is in the package python3-venv." >&2; exit 1; }
	@touch $@

$(VENV)/demo.stamp: pyproject.toml $(VENV)/made.stamp
	@echo 'Installing bfpemu in $(VENV), once ...'
	@$(PIP) install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/bench.stamp: pyproject.toml $(VENV)/made.stamp
	@echo 'Installing bfpemu and what it is measured against in $(VENV), once ...'
	@$(PIP) install --quiet --editable '.[bench,demo,jax,tensorflow,torch]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/test.stamp: pyproject.toml $(VENV)/made.stamp
	@echo 'Installing bfpemu with the test tools and frameworks in $(VENV), once; this takes minutes ...'
	@$(PIP) install --quiet --editable '.[test]'
	@touch $@ $(VENV)/demo.stamp

# Everything a developer runs, from a bare checkout: needs make and Python 3.11 or newer, nothing else.
#   make demo          a backtest on the built-in simulated market
#   make test lint     what a change must pass
#   make PYTHON=python3.12 test   another interpreter (after `make clean`)

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

# One virtual environment a peer: what each needs to be measured beside us (`make bench-peers`).
PEERS := nautilus backtrader backtesting quantlib py_vollib fast_vollib
NEEDS_nautilus := nautilus_trader numpy
NEEDS_backtrader := backtrader numpy
NEEDS_backtesting := backtesting
NEEDS_quantlib := QuantLib numpy
NEEDS_py_vollib := py_vollib numpy
NEEDS_fast_vollib := fast-vollib numpy

.PHONY: help venv demo test lint bench bench-peers soak clean

help:
	@echo "make venv | demo | test | lint | bench | bench-peers | soak | clean"

# First line of every recipe that makes a virtual environment.
define need_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
  echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not that: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
endef

venv: $(VENV)/.installed

$(VENV)/.installed: requirements.txt requirements-dev.txt
	$(need_python)
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: venv
	$(PY) run_actors.py demo

test: venv
	$(PY) -m pytest -n 2 -m "not soak"

lint: venv
	$(PY) -m ruff check .
	$(PY) -m mypy

# Every bench/*.py prints its own figures; the first that fails stops the rest.
bench: venv
	@for bench in bench/*.py; do echo "== $$bench"; $(PY) $$bench || exit 1; done

# Every bench/peers/PEER.py runs in the environment of that peer alone.
bench-peers: $(PEERS:%=peers-venvs/%/.installed)
	@for peer in $(PEERS); do \
	  if [ -f bench/peers/$$peer.py ]; then \
	    echo "== $$peer"; peers-venvs/$$peer/bin/python bench/peers/$$peer.py || exit 1; fi; done

peers-venvs/%/.installed:
	$(need_python)
	$(PYTHON) -m venv peers-venvs/$*
	peers-venvs/$*/bin/python -m pip install --quiet --disable-pip-version-check $(NEEDS_$*)
	@touch $@

soak: venv
	$(PY) -m pytest -m soak

clean:
	rm -rf $(VENV) peers-venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

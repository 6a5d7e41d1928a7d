# Everything a developer runs, from a bare checkout: needs make and Python 3.11 or newer, nothing else.
#   make demo          a backtest on the built-in simulated market
#   make test lint     what a change must pass
#   make bench-peers   environments of the libraries we measure ourselves against; then make bench
#   make bench-live    the live daemon under load: on the local exchange, and from a tick to its order
#   make PYTHON=python3.12 test   another interpreter (after `make clean`)

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

# One environment a peer, under this folder; bench/README.md says what each is measured with.
PEERS_VENVS ?= peers-venvs
export PEERS_VENVS
NEEDS_nautilus := nautilus_trader numpy
NEEDS_backtrader := backtrader numpy
NEEDS_backtesting := backtesting numpy
NEEDS_pykka := pykka numpy
NEEDS_QuantLib := QuantLib numpy
NEEDS_py_vollib := py_vollib
NEEDS_fast-vollib := fast-vollib
NEEDS_lets_be_rational := lets_be_rational numpy
PEERS := $(sort $(patsubst NEEDS_%,%,$(filter NEEDS_%,$(.VARIABLES))))

.PHONY: help venv demo test lint format bench bench-live bench-peers soak clean

help:
	@echo "make venv | demo | test | lint | format | bench-peers | bench | bench-live | soak | clean"

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

# Twice as many processes as cores: much of what is tested waits for a socket.
test: venv
	$(PY) -m pytest -n 4 --dist worksteal -m "not soak"

lint: venv
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: venv
	$(PY) -m ruff format .

# Measures with whatever peers are installed; says which are absent.
bench: venv
	$(PY) bench/run.py

bench-live: venv
	$(PY) bench/live.py
	$(PY) bench/tick_to_order.py

bench-peers: $(PEERS:%=$(PEERS_VENVS)/%/.installed)

$(PEERS_VENVS)/%/.installed:
	$(need_python)
	$(PYTHON) -m venv $(PEERS_VENVS)/$*
	$(PEERS_VENVS)/$*/bin/python -m pip install --quiet --disable-pip-version-check $(NEEDS_$*)
	@touch $@

# Storms for SOAK_S seconds; the figures are appended to var/soak.jsonl.
SOAK_S ?= 3600

soak: venv
	$(PY) -m pytest -m soak
	$(PY) run_actors.py simulate --seeds 1000000 --hours 6 --for $(SOAK_S) --report var/soak.jsonl

clean:
	rm -rf $(VENV) peers-venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

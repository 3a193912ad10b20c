# Everything runs in one virtual environment, made on first use. Needs Python 3.11 or newer, make and a package index.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: quickstart test style install clean

quickstart: $(VENV)/installed
	$(RUN) scripts/quickstart.py

test: $(VENV)/installed
	HF_HUB_OFFLINE=1 $(RUN) -m pytest

style: $(VENV)/installed
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hfcls needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "Setting up $(VENV): about 6 GB, 2 to 4 minutes the first time ..."
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --upgrade pip
	@$(RUN) -m pip install --quiet --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info

# Each target makes the virtual environment that it needs. Override for example PYTHON=python3.12 or VENV=...
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# torch first and pinned: a looser requirement of another package would fetch a second, larger build
TORCH ?= torch==2.13.0

# sees what $(VENV) has, torch among it, and adds the libraries of the extra integrations alone
LIBRARIES := $(VENV)-integrations
PLACE := import sysconfig; print(sysconfig.get_path("purelib"))

.PHONY: quickstart test test-quick integrations lint docs versions results clean

quickstart: $(VENV)/.quickstart
	HF_HUB_OFFLINE=1 $(BIN)/radio fit --config quickstart --overwrite true
	$(BIN)/radio report runs/quickstart --measure nDCG@5 --output runs/quickstart.html

# One thread a process: threads that compete for a core wait for each other in every operation. A process a core, and
# one more for the tests that wait for a server or for what they kill. Files run in the order of tests/conftest.py.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev
	$(PYTEST)

test-quick: $(VENV)/.dev
	$(PYTEST) -m "not slow"

# the lines of docs/integrations.md, each with its library: one that is not there fails
integrations: $(LIBRARIES)/.done
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 RADIO_ALL_INTEGRATIONS=1 \
		$(LIBRARIES)/bin/python -m pytest tests/test_integrations.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# the tables of docs/results-test.md; needs ../shared, takes hours, goes on where it was
results: $(VENV)/.dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.results

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.quickstart: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[offline]"
	touch $@

$(VENV)/.dev: $(VENV)/.quickstart
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	# W&B's engine draws points of sweeps in tests; it asks for numpy 1, which it does not need
	$(BIN)/python -m pip install -q --disable-pip-version-check jsonschema jsonref \
		&& $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps sweeps==0.3.0 \
		|| echo "sweeps cannot be had: tests that draw points of sweeps are skipped"
	touch $@

$(LIBRARIES)/.done: $(VENV)/.dev
	$(BIN)/python -m venv --clear $(LIBRARIES)
	$(BIN)/python -c '$(PLACE)' > "$$($(LIBRARIES)/bin/python -c '$(PLACE)')/base.pth"
	$(LIBRARIES)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[integrations]"
	touch $@

# the site of the documentation, in site/; strict: a link that leads nowhere fails
docs: $(VENV)/.dev
	HF_HUB_OFFLINE=1 NO_MKDOCS_2_WARNING=1 PYTHONPATH=src:. $(BIN)/python -m mkdocs build --strict

# the package as it is installed, with the lowest versions that pyproject.toml allows; all pairs of Python and
# versions, which take gigabytes: python -m benchmarks.versions
versions: $(VENV)/.dev
	$(BIN)/python -m benchmarks.versions --own --resolutions lowest

clean:
	rm -rf $(VENV) $(LIBRARIES)

# `make demo` and `make test` do all the set-up themselves, on a machine with nothing but Python 3.11 or 3.12.
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: install demo test check bench pictures clean

install: $(VENV)/installed

$(VENV)/installed: requirements.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Microlive needs Python 3.11 or 3.12: install one, or name it with make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Installing into $(VENV) (about 2 GB, some minutes on first use) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

demo: install
	@mkdir -p runs/demo
	$(RUN) run_live.py --source demo --headless --pace fast --csv runs/demo/demo.csv --events runs/demo/events.jsonl --record runs/demo/demo.mp4
	@echo "The overlay video is runs/demo/demo.mp4, a row for every frame is in runs/demo/demo.csv, events are in runs/demo/events.jsonl"

# Two processes, a file's tests in one of them: many wait for other processes most of the time.
test: install
	$(RUN) -m pytest -n 2 --dist loadfile

check: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(VENV)/bin/pyright

# The paper's network at its own size, engines alone; then the bundled model, engines and the whole program.
bench: install
	@mkdir -p runs
	test -f runs/paper/model.stream.onnx || $(RUN) -m export --untrained --out runs/paper
	$(RUN) -m stream.benchmark --stages engine --model runs/paper/model.onnx --json runs/benchmark-paper.json
	$(RUN) -m stream.benchmark --json runs/benchmark.json --chart runs/benchmark.png

pictures: demo
	$(RUN) docs/pictures.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis

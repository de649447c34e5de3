# Each target makes the virtual environment it needs, and installs no more than that.
PYTHON ?= python3
PRESET ?=
BOARD  ?=
SEED   ?=
SEEDS  ?=
COMPUTE_MHZ ?=
SUITE  ?=
JOBS   ?= auto
SIM    ?= verilator icarus
WAVES  ?= 0
K      ?=
TWO_CLOCKS ?=
EXAMPLE ?= verilog_soc amaranth_component litex notebook

VENV := .venv
BIN  := $(VENV)/bin

# The benches read these; ccache is used when it is there.
export SIM WAVES
export OBJCACHE ?= $(shell command -v ccache)
# Verilator starts a make of its own, which must not inherit our flags.
unexport MAKEFLAGS MFLAGS MAKELEVEL
# Two installations into one environment would trip over each other.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help venv sim bench sweep test frontends regress lint docs verilog fpga bitstream examples train lock clean

help: ## print this list
	@awk -F ': .*## ' '/^[a-z]+: .*##/ { printf "  make %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  test and regress take SIM=verilator or SIM=icarus (default: both), K=pattern,"
	@echo "  WAVES=1 and JOBS=n (default: one a core); verilog takes PRESET=name and"
	@echo "  TWO_CLOCKS=1 (a clock of its own for the tensor engine: build/verilog/PRESET-two-clocks.v); fpga and bitstream"
	@echo "  take BOARD=name (default: ulx3s-85f), PRESET=name, SEED=n, SEEDS=n (how many to try) and COMPUTE_MHZ=n; bench takes SUITE=names"
	@echo "  (default: all), sweep too (default: tiny); both take PRESET=name. JOBS=n bounds all of these."

venv: $(VENV)/test.stamp ## make .venv with everything that sim, test and lint need

sim: need-g++ $(VENV)/rtl.stamp ## classify handwritten digits on the simulated RTL, checked bit for bit
	@$(BIN)/python -m scripts.sim

bench: need-g++ $(VENV)/rtl.stamp ## measure networks layer by layer on the simulated RTL: build/bench/index.html (docs/bench.md)
	@$(BIN)/gemmary bench $(addprefix --suite ,$(or $(SUITE),all)) $(if $(PRESET),--preset "$(PRESET)") $(BENCH_JOBS)

sweep: $(VENV)/rtl.stamp ## compare configurations by the cycle model: build/sweep/index.html (docs/bench.md)
	@$(BIN)/gemmary sweep $(addprefix --suite ,$(or $(SUITE),tiny)) --array 8x8,16x8,16x16,32x16,32x32 --activation-bytes 64,128,256 $(if $(PRESET),--preset "$(PRESET)") $(BENCH_JOBS)

test: need-simulators $(VENV)/test.stamp ## run every test, in both simulators
	@$(PYTEST) --junitxml=build/test/junit.xml

frontends: need-g++ $(VENV)/test.stamp $(VENV)/onnx.stamp $(VENV)/torch.stamp $(VENV)/jax.stamp ## test the compiler with the frameworks whose models it reads
	@$(PYTEST) verif/compiler --junitxml=build/test/frontends.xml

regress: need-simulators $(VENV)/test.stamp $(VENV)/examples.stamp $(VENV)/models.stamp $(VENV)/torch.stamp $(VENV)/jax.stamp $(VENV)/train.stamp ## nightly: every test and the long random ones; prints the time it took
	@$(PYTEST) -m "" --junitxml=build/test/regress.xml

lint: $(VENV)/test.stamp ## check style and formatting with ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

docs: $(VENV)/rtl.stamp ## write the generated pages of docs/ again
	@$(BIN)/python -m scripts.generate_docs

verilog: $(VENV)/rtl.stamp ## write the accelerator as Verilog: build/verilog/PRESET.v
	@mkdir -p build/verilog
	@$(BIN)/gemmary verilog --preset "$(or $(PRESET),base)" $(if $(APART),--two-clocks) -o "build/verilog/$(or $(PRESET),base)$(if $(APART),-two-clocks).v"

fpga: $(VENV)/fpga.stamp ## place and route a board's design and report timing: build/boards/BOARD/report.json
	@$(FPGA) fpga

bitstream: fpga ## pack the bitstream of a board: build/boards/BOARD
	@$(FPGA) bitstream

examples: $(addprefix example-,$(EXAMPLE)) ## run the examples, or one: EXAMPLE=name (examples/README.md)

train: $(VENV)/train.stamp ## train the digits network again; its weights come with the repository
	@$(BIN)/python -m scripts.train_digits

lock: $(VENV)/test.stamp $(VENV)/examples.stamp $(VENV)/fpga.stamp $(VENV)/models.stamp $(VENV)/torch.stamp $(VENV)/jax.stamp $(VENV)/train.stamp ## write requirements.lock from what .venv holds
	@mkdir -p build && grep '^#' requirements.lock > build/lock
	@$(BIN)/pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' | LC_ALL=C sort -f >> build/lock
	@mv build/lock requirements.lock

clean: ## remove what was built; .venv stays
	@rm -rf build

APART = $(filter-out 0,$(TWO_CLOCKS))
BENCH_JOBS = $(if $(filter-out auto,$(JOBS)),--jobs $(JOBS))
FPGA = $(BIN)/python -m scripts.fpga $(if $(BOARD),--board "$(BOARD)") $(if $(PRESET),--preset "$(PRESET)") $(if $(SEED),--seed "$(SEED)") $(if $(SEEDS),--seeds "$(SEEDS)") $(if $(COMPUTE_MHZ),--compute-mhz "$(COMPUTE_MHZ)") $(BENCH_JOBS)
PYTEST = $(BIN)/pytest -n $(JOBS) --dist worksteal --durations=10 $(if $(K),-k "$(K)")

# --- The examples, and what each needs ---

.PHONY: example-verilog_soc example-amaranth_component example-litex example-notebook
example-verilog_soc: need-simulators $(VENV)/rtl.stamp
	@$(BIN)/python -m examples.verilog_soc.run $(addprefix --simulator ,$(SIM))

example-amaranth_component: $(VENV)/rtl.stamp
	@$(BIN)/python -m examples.amaranth_component.run

example-litex: need-g++ $(VENV)/examples.stamp
	@$(BIN)/python -m examples.litex.run

example-notebook: need-g++ $(VENV)/examples.stamp
	@$(BIN)/python -m examples.notebook.run

example-%:
	@echo "make: EXAMPLE=$* names no example: examples/README.md lists them." >&2; exit 2

# --- The environment: .venv/EXTRA.stamp says that the extra is installed ---

$(VENV)/%.stamp: pyproject.toml requirements.lock | $(BIN)/pip
	@echo "Installing gemmary[$*] into $(VENV)"
	@$(BIN)/pip install -qq --constraint requirements.lock --editable ".[$*]"
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { $(call missing,Python 3.11 or later,python3 (or name another with PYTHON=...)) }
	@$(PYTHON) -m venv $(VENV) || { $(call missing,the module venv of Python,python3-venv) }

# --- What pip cannot install: one sentence names the Debian package that has it ---

missing = echo "make: $(1) is missing: install the Debian package $(2)." >&2; exit 2;
header  = echo '\#include <$(1)>' | g++ -E -x c++ - >/dev/null 2>&1 || { $(call missing,the header $(1),$(2)) }

.PHONY: need-g++ need-simulators
need-g++:
	@command -v g++ >/dev/null || { $(call missing,the C++ compiler,g++) }

need-simulators: $(if $(findstring verilator,$(SIM)),need-g++)
ifneq (,$(filter-out verilator icarus,$(SIM)))
	@echo "make: SIM=$(SIM) names no simulator: use verilator, icarus or both." >&2; exit 2
endif
ifneq (,$(findstring icarus,$(SIM)))
	@command -v iverilog >/dev/null || { $(call missing,Icarus Verilog,iverilog) }
endif
ifeq (verilator1,$(findstring verilator,$(SIM))$(WAVES))
	@$(call header,lz4.h,liblz4-dev)
	@$(call header,zlib.h,zlib1g-dev)
endif

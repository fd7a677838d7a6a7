# The project's habits, each one command. Needs Python 3.10 to 3.12 with pip, and nothing else: `make` makes its own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

FUZZ_RUNS ?= 1000000
ADD := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet -c constraints.txt -e

NEWEST := .venv-newest
WORKERS ?= auto# processes that share the tests; 0: in one, which pdb and -s need
# One thread each: the workers fill the cores. Bytecode is written whatever the environment says: to compile everything for each process takes half of the time.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
EXTRAS := .[swift,reference,dev]
NEWEST_EXTRAS := .[swift,reference,test]

LAST ?= HEAD~1

.PHONY: help install quickstart anomaly-demo test test-unit test-recipes test-newest docs inventory resolve-newest lint bench interchange fuzz pretrain clean
help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

install: $(STAMP) ## make .venv with everything that the tests need
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12) and "groundswift needs Python 3.10 to 3.12: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --compile-bytecode -c constraints.txt -e '$(EXTRAS)'
	@touch $@

quickstart: install ## the main job on the embedded model: COCO in, LoRA, merge, mAP out
	OVERWRITE=1 bash recipes/quickstart/run.sh

anomaly-demo: install ## anomaly detection from labels to a watched video on the embedded model; the same command continues after a kill
	bash recipes/anomaly/demo.sh

test: install ## all tests but the recipes' long part
	$(PYTEST) -m "not recipes"

test-unit: install ## the tests that start no process and load neither ms-swift nor torch: a minute on 2 cores
	$(PYTEST) --dist worksteal -m unit --hypothesis-profile quick

test-recipes: install ## every recipe to its end on the CPU, with the tiny model of its family
	$(PYTEST) --dist worksteal tests/recipes

$(NEWEST)/.installed: pyproject.toml constraints-newest.txt | install
	$(PYTHON) -m venv $(NEWEST)
	VIRTUAL_ENV=$(CURDIR)/$(NEWEST) $(BIN)/uv pip install --compile-bytecode -c constraints-newest.txt -e '$(NEWEST_EXTRAS)'
	@touch $@

test-newest: $(NEWEST)/.installed ## the same tests but the longest, with the newest packages that ms-swift allows, as `pip install '.[swift]'` gets them
	PATH="$(CURDIR)/$(NEWEST)/bin:$$PATH" $(PYTEST) -m "not recipes and not long"

resolve-newest: install ## write constraints-newest.txt: the newest packages of today
	(echo "# Newest packages that ms-swift 4.6 allows, resolved on $$(date -u +%F)"; $(BIN)/uv pip compile --quiet --no-header --no-annotate \
	  --no-emit-index-url --extra swift --extra reference --extra test pyproject.toml) > constraints-newest.txt

docs: install inventory ## write the generated tables of all pages
	python docs/_tables.py

inventory: ## write recipes/README.md and README_CN.md from the heads of the scripts
	$(PYTHON) recipes/_inventory.py

lint: install ## style of Python and shell
	ruff check . && ruff format --check .
	shellcheck recipes/*.sh recipes/*/*.sh .ci/run

bench: install ## the measured claims, each next to the usual way, and all against an earlier build (LAST=HEAD~1)
	$(ADD) '.[bench]'
	python benchmarks/eval_map.py
	python benchmarks/eval_command.py
	python benchmarks/eval_truth.py
	python benchmarks/logprobs.py
	python benchmarks/eval_engines.py
	python benchmarks/report.py --linear --served
	python benchmarks/parse.py
	python benchmarks/parse_engines.py
	python benchmarks/convert.py
	python benchmarks/rows.py
	python benchmarks/growth.py
	python benchmarks/training.py
	python benchmarks/infer.py
	python benchmarks/watch.py
	python benchmarks/anomaly.py
	python benchmarks/worker_pool.py
	python benchmarks/remote_cache.py
	python benchmarks/refer_pickle.py
	python benchmarks/last_build.py $(LAST)

interchange: install ## boxes through the formats of other tools, each of which is installed into an environment of its own (2 GB)
	python benchmarks/interchange.py

fuzz: install ## FUZZ_RUNS texts through the parser of every family; their share of broken sources through every other command
	$(ADD) '.[fuzz]'
	python tests/fuzzing/fuzz.py --runs $(FUZZ_RUNS)

pretrain: install ## train the embedded model again
	OVERWRITE=1 bash recipes/quickstart/pretrain.sh

clean: ## remove what was made here
	rm -rf $(VENV) $(NEWEST) runs build *.egg-info

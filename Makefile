# Everything that a fresh machine needs besides Python 3.11+ is installed by these targets.
PYTHON ?= python3
VENV := .venv
SHORT ?= build/soak.jsonl
PROCESSES ?= 4
BIN := $(VENV)/bin
BARE := env -i PATH="$$PATH" HOME="$$HOME" OWDD_SECRETS_DIR=/nonexistent
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# Hundreds of processes start in the tests: without bytecode on the disk each of them compiles the whole program, for two seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-cdc test test-again consent faults storms soak soak-short drill check bench bench-delivery docs golden connector-keys audit sbom \
	digests lock clean

demo: $(VENV)/.installed ## the main job on an embedded broker; ends with proof that it is right
	$(BIN)/owdd demo $(DEMO)

demo-cdc: $(VENV)/.installed ## the same behind real capture: the shop writes SQL, Debezium reads the database's log
	$(BIN)/owdd demo-cdc $(DEMO)

test: $(VENV)/.installed ## all tests, on a real broker, in processes that share it: most of the time they wait
	$(BIN)/python -m pytest -q -n $(PROCESSES) --dist loadscope --no-loadscope-reorder $(TESTS)

test-again: $(VENV)/.installed ## those that failed in "make test", up to three, one after the other
	@$(BIN)/python -c 'import json; failed = json.load(open(".pytest_cache/v/cache/lastfailed")); \
		print("failed beside others:", *failed, sep="\n  "); exit(len(failed) > 3)'
	$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none

consent: $(VENV)/.installed ## random actions of all parties on consent, 100,000 steps against the sandbox
	OWDD_CONSENT_STEPS=100000 $(BIN)/python -m pytest -q --timeout 3600 tests/consent

faults: $(VENV)/.installed ## convergence while Dotdigital fails and workers die, 20 shops
	OWDD_FAULT_SEEDS=20 $(BIN)/python -m pytest -q tests/convergence/test_faults.py

storms: $(VENV)/.installed ## what "make test" plays with few shops, with many: replays, faults, pauses
	OWDD_SHOP_SEEDS=20 OWDD_FAULT_SEEDS=20 OWDD_PAUSE_SEEDS=5 OWDD_PAUSES=4 OWDD_REPLAY_SEEDS=12 OWDD_STATE_SEEDS=20 \
		$(BIN)/python -m pytest -q -n 4 --dist loadscope --no-loadscope-reorder tests/convergence
	OWDD_EXAMPLES=10 $(BIN)/python -m pytest -q -n 4 --timeout 3600 tests/agents/test_erasure.py tests/agents/test_handlers.py \
		tests/dispatch/test_delivery_states.py

soak-short: $(VENV)/.installed ## a few shops under some kinds of fault, as CI plays them
	$(BIN)/owdd soak --seeds 1 --scenario replays --scenario kills --scenario state-lost --results $(SHORT)
	$(BIN)/owdd soak --first-seed 4 --seeds 2 --scenario replays --results $(SHORT)

soak: $(VENV)/.installed ## shops under every kind of fault, until you stop it; SOAK="--seeds 3 --scenario kills" plays less
	$(BIN)/owdd soak --seeds 20 --document docs/guarantees.md $(SOAK)

drill: $(VENV)/.installed ## break what alerts must find, before a real Prometheus; DRILL="--case dispatch" breaks less
	$(BIN)/owdd drill --document docs/operations.md $(DRILL)

check: $(VENV)/.installed ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench ## measure, beside peers, on a real broker
	$(BIN)/python -m bench all

bench-delivery: $(VENV)/.bench ## calls per delivered change against an offline optimum, in virtual time
	$(BIN)/python -m bench delivery $(BENCH)

docs: $(VENV)/.installed ## write the generated documents, and the connector's files for the default mapping
	$(BIN)/owdd config reference > docs/configuration.md
	$(BIN)/owdd config metrics > docs/metrics.md
	$(BIN)/python -m testkit.log_events > docs/log-events.md
	$(BIN)/owdd config commands > docs/cli.md
	$(BIN)/python -m testkit.dashboards grafana/dashboards
	$(BIN)/owdd topics architecture > docs/architecture.md
	$(BIN)/python -m tests.operations.setups_page
	$(BIN)/owdd dotdigital codes > docs/dotdigital-codes.md
	$(BARE) $(BIN)/owdd connectors render --out connectors
	$(BARE) $(BIN)/owdd connectors sql --out connectors/sql
	$(BIN)/python -m testkit.simulate.sql_script > docker/sqlserver/orderwise.sql

connector-keys: $(VENV)/.installed ## read the keys of the real connectors, for the lint
	$(BIN)/python -m testkit.connector_keys

golden: $(VENV)/.installed ## write Debezium's own events again, for the tests of our decoder
	$(BIN)/python -m tests.golden

audit: $(VENV)/.audit ## known vulnerabilities of what the image holds; a package that cannot be looked up fails it
	$(VENV)/audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/run.lock

sbom: $(VENV)/.audit ## the bill of materials of the product's image, CycloneDX: build/owdd.cdx.json
	mkdir -p build
	$(VENV)/audit/bin/cyclonedx-py requirements requirements/run.lock --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-format JSON -o build/owdd.cdx.json

digests: $(VENV)/.installed ## pin the images of others, in Dockerfile and Compose file, to the digests that their tags have now
	$(BIN)/python -m testkit.image_digests Dockerfile docker-compose.yml

lock: $(VENV)/.installed ## resolve the dependencies again
	$(BIN)/pip install -q uv
	$(COMPILE) pyproject.toml --extra console --extra testkit --extra dev --extra bench -o requirements/bench.lock
	$(COMPILE) pyproject.toml --extra console --extra testkit --extra dev -c requirements/bench.lock -o requirements/dev.lock
	$(COMPILE) pyproject.toml --extra console -c requirements/bench.lock -o requirements/run.lock
	$(COMPILE) pyproject.toml --extra console --extra testkit -c requirements/bench.lock -o requirements/testkit.lock
	$(COMPILE) requirements/java.in -o requirements/java.lock
	$(COMPILE) requirements/audit.in -o requirements/audit.lock
	$(COMPILE) requirements/pathway.in -o requirements/pathway.lock
	$(BIN)/python -m testkit.jar_locks connectors/runtime/*/pom.xml tests/*/pom.xml bench/contenders/*/pom.xml
	$(COMPILE) --group build -c requirements/bench.lock -o requirements/build.lock

clean: ## remove what the other targets made
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-report.json demo-cdc-report.json owdd.log sandbox.log truth.json data

$(VENV)/.installed: requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . -e ./testkit
	command -v java > /dev/null || $(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/java.lock
	touch $@

$(VENV)/.bench: $(VENV)/.installed requirements/bench.lock
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/bench.lock
	touch $@

$(VENV)/.audit: requirements/audit.lock
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/audit.lock
	touch $@

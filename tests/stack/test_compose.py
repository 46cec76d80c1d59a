"""docker-compose.yml: valid, pinned, checked, confined, and in step with the settings, the commands and the versions."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr
from typer.testing import CliRunner

from streams.cli import app
from streams.connect.render import connector
from streams.mapping import load_mapping
from streams.settings import Settings
from testkit.simulate.settings import SimulatorSettings
from tests.stack.conftest import COMPOSE_FILE, ROOT, Service, resolved

WORKERS = ("ingest", "agents", "dispatch")
JOBS = {"orderwise", "seed", "topics", "connectors", "fields", "simulator", "verify"}
TESTKIT = {"sandbox", "seed", "simulator", "verify"}
_SECRET_NAME = re.compile("password|secret|token|_key$", re.IGNORECASE)


def test_it_fits_the_compose_specification() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_profiles_neither_sandbox_nor_simulator_nor_console_runs(
    secrets_directory: Path, services: dict[str, Service]
) -> None:
    assert set(services) - set(resolved(secrets_directory)["services"]) == {"sandbox", "simulator", "verify", "console"}


class TestImages:
    def test_every_image_is_pinned_to_a_version(self, services: dict[str, Service]) -> None:
        loose = {name for name, service in services.items() if not re.search(r":v?[\w-]*\d+[.-]\w+", service["image"])}
        assert loose == set()

    def test_our_image_carries_the_package_s_version(self, ours: dict[str, Service]) -> None:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert {name: service["image"] for name, service in ours.items()} == {
            name: f"{'owdd-testkit' if name in TESTKIT else 'owdd'}:{version}" for name in ours
        }
        assert set(ours) >= TESTKIT

    def test_one_service_that_always_runs_builds_each(self, secrets_directory: Path) -> None:
        services = resolved(secrets_directory)["services"].items()
        builders = {name: service["build"]["target"] for name, service in services if "build" in service}
        assert builders == {"topics": "runtime", "seed": "testkit"}

    def test_ours_are_pulled_from_nowhere_and_theirs_only_if_missing(self, services: dict[str, Service]) -> None:
        for name, service in services.items():
            assert service["pull_policy"] == ("never" if service["image"].startswith("owdd") else "missing"), name

    @pytest.mark.parametrize(
        ("service", "pom", "name"),
        [("kafka", "broker", "kafka.version"), ("connect", "plugin-sqlserver", "debezium.version")],
    )
    def test_the_stack_runs_the_versions_that_the_tests_run(
        self, services: dict[str, Service], service: str, pom: str, name: str
    ) -> None:
        text = (ROOT / "connectors" / "runtime" / pom / "pom.xml").read_text()
        found = re.search(f"<{name}>(.+)</{name}>", text)
        assert found is not None
        assert services[service]["image"].partition("@")[0].endswith(f":{found[1]}")


class TestOrder:
    def test_every_service_is_checked_or_is_a_job_that_ends(self, services: dict[str, Service]) -> None:
        jobs = {name for name, service in services.items() if service.get("restart") == "no"}
        assert jobs == JOBS
        checked = {name for name, service in services.items() if "test" in service.get("healthcheck", {})}
        assert checked == set(services) - jobs
        assert all(services[name]["restart"] == "unless-stopped" for name in set(services) - jobs)

    def test_services_wait_for_health_and_jobs_for_their_end(self, services: dict[str, Service]) -> None:
        waits = [
            (name, other, wait["condition"])
            for name, it in services.items()
            for other, wait in it.get("depends_on", {}).items()
        ]
        assert len(waits) >= len(services) - 3
        for name, other, condition in waits:
            expected = "service_completed_successfully" if other in JOBS else "service_healthy"
            assert condition == expected, f"{name} waits for {other}"

    def test_everything_follows_from_the_database_the_broker_and_the_account(self, services: dict[str, Service]) -> None:
        first = {name for name, service in services.items() if not service.get("depends_on")}
        assert first == {"sqlserver", "kafka", "sandbox", "prometheus"}


class TestSettings:
    def test_every_variable_of_ours_is_a_setting_with_a_value_that_it_takes(self, ours: dict[str, Service]) -> None:
        for name, service in ours.items():
            values = {key.removeprefix("OWDD_").lower(): value for key, value in service["environment"].items()}
            assert set(values) <= set(Settings.model_fields), name
            Settings.model_validate(values)

    def test_every_command_is_one_that_the_program_has(self, ours: dict[str, Service]) -> None:
        for name, service in ours.items():
            # Asked for help, a command still refuses options that it does not have.
            done = CliRunner().invoke(app, [*service["command"], "--help"])
            assert done.exit_code == 0, f"{name}: {done.output}"

    @pytest.mark.parametrize("name", ["seed", "simulator"])
    def test_the_shop_would_open_if_only_there_were_a_database(self, ours: dict[str, Service], name: str) -> None:
        nowhere = [word.replace("sqlserver:1433", "127.0.0.1:1") for word in ours[name]["command"]]
        done = CliRunner().invoke(app, nowhere, env={"OWDD_ORDERWISE_PASSWORD": "any"})
        assert done.exit_code == 1, done.output
        assert "127.0.0.1: OperationalError" in done.output

    def test_the_simulator_goes_on_with_the_shop_that_the_seed_opened(self, ours: dict[str, Service]) -> None:
        seed, simulator = (ours[name]["command"] for name in ("seed", "simulator"))
        assert set(seed) - set(simulator) == {"opening", "--if-empty"}
        assert set(simulator) - set(seed) == {"live", "--rate", "2", "--truth", "/var/lib/owdd/truth.json"}

    def test_the_proof_reads_the_truth_that_the_simulator_wrote(self, ours: dict[str, Service]) -> None:
        written, read = (ours[name]["command"][ours[name]["command"].index("--truth") + 1] for name in ("simulator", "verify"))
        assert written == read
        (simulator,), (verify,) = ours["simulator"]["volumes"], ours["verify"]["volumes"]
        assert (simulator["source"], simulator["target"]) == (verify["source"], verify["target"])
        assert verify["read_only"]
        assert ours["verify"]["depends_on"]["simulator"]["condition"] == "service_completed_successfully"

    def test_the_example_names_every_variable_that_the_stack_reads(self) -> None:
        read = set(re.findall(r"\$\{(\w+)", COMPOSE_FILE.read_text()))
        named = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
        assert named == read

    def test_the_connector_that_is_applied_names_what_the_stack_has(self, services: dict[str, Service]) -> None:
        variables = services["connectors"]["environment"].items()
        settings = Settings.model_validate({key.removeprefix("OWDD_").lower(): value for key, value in variables})
        config = connector(load_mapping(), "sqlserver", settings)
        references = re.findall(r"\$\{(\w+):([^:]+):(\w+)\}", " ".join(config.values()))
        providers = services["connect"]["environment"]
        mounted = {secret["target"] for secret in services["connect"]["secrets"]}
        assert references
        for provider, directory, name in references:
            assert provider == providers["CONNECT_CONFIG_PROVIDERS"]
            assert directory == providers["CONNECT_CONFIG_PROVIDERS_DIR_PARAM_ALLOWED_PATHS"]
            assert f"{directory}/{name}" in mounted
        assert config["database.hostname"] in services
        assert f"CREATE LOGIN [{config['database.user']}]" in (ROOT / "connectors" / "sql" / "login.sql").read_text()


class TestSecrets:
    def test_no_secret_is_in_an_environment_or_a_command(self, services: dict[str, Service]) -> None:
        for name, service in services.items():
            shown = {key for key in service.get("environment", {}) if _SECRET_NAME.search(key) and not key.endswith("__FILE")}
            assert shown == set(), name
            assert not any(_SECRET_NAME.search(str(word)) for word in service.get("command") or []), name

    def test_the_script_makes_exactly_the_files_that_the_stack_mounts(
        self, compose: dict[str, Any], services: dict[str, Service], secrets_directory: Path
    ) -> None:
        made = {file.name: file for file in secrets_directory.iterdir()}
        used = {secret["source"] for service in services.values() for secret in service.get("secrets", [])}
        assert set(made) == set(compose["secrets"]) == used
        assert {name: Path(secret["file"]) for name, secret in compose["secrets"].items()} == made

    def test_the_files_are_random_have_no_newline_and_are_behind_a_closed_door(self, secrets_directory: Path) -> None:
        contents = [file.read_text() for file in secrets_directory.iterdir()]
        assert len(set(contents)) == len(contents)
        assert all(re.fullmatch(r"Aa1[0-9a-f]{48}", content) for content in contents)
        assert secrets_directory.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in secrets_directory.iterdir()} == {0o444}

    def test_the_script_keeps_what_exists(self, tmp_path: Path) -> None:
        (tmp_path / "owdd_dotdigital_password").write_text("chosen")
        subprocess.run(["sh", ROOT / "docker" / "secrets.sh", tmp_path], check=True, capture_output=True)
        assert (tmp_path / "owdd_dotdigital_password").read_text() == "chosen"

    def test_our_secrets_are_settings_and_nobody_has_one_that_it_does_not_need(self, ours: dict[str, Service]) -> None:
        given = {name: {item["source"] for item in it.get("secrets", [])} for name, it in ours.items()}
        fields = {**Settings.model_fields, **SimulatorSettings.model_fields}
        secret = {f"owdd_{name}" for name, info in fields.items() if info.annotation is SecretStr}
        assert set.union(*given.values()) <= secret
        assert {name for name, secrets in given.items() if "owdd_dotdigital_password" in secrets} == {
            "sandbox",
            "fields",
            "dispatch",
            "console",
        }
        assert {name for name, secrets in given.items() if "owdd_console_token" in secrets} == {"console"}
        assert {name for name, secrets in given.items() if "owdd_state_token" in secrets} == {*WORKERS, "console"}
        assert {name for name, secrets in given.items() if "owdd_orderwise_password" in secrets} == {"seed", "simulator"}
        assert all("owdd_hash_key" in given[name] for name in WORKERS)


class TestConfinement:
    def test_our_containers_can_neither_write_nor_gain_rights(self, ours: dict[str, Service]) -> None:
        for name, service in ours.items():
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["init"] is True, name
            assert "/tmp" in service["tmpfs"], name

    def test_only_what_people_look_at_has_ports_and_only_on_loopback(self, services: dict[str, Service]) -> None:
        ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
        assert set(ports) == {"prometheus", "grafana", "console"}
        assert {port["host_ip"] for mapped in ports.values() for port in mapped} == {"127.0.0.1"}

    def test_everything_is_limited(self, services: dict[str, Service]) -> None:
        for name, service in services.items():
            limits = service["deploy"]["resources"]["limits"]
            assert float(limits["cpus"]) > 0, name
            assert int(limits["memory"]) >= 256 * 2**20, name
            assert 256 <= int(limits["pids"]) <= 2048, name
            assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name

    def test_capabilities_are_dropped_everywhere_but_in_sql_server(self, services: dict[str, Service]) -> None:
        assert {name for name, service in services.items() if service.get("cap_drop") != ["ALL"]} == {"sqlserver"}

    def test_source_bus_and_watch_meet_only_where_they_must(self, services: dict[str, Service]) -> None:
        networks = {name: set(service["networks"]) for name, service in services.items()}
        assert {name for name, there in networks.items() if "source" in there} == {
            *("sqlserver", "orderwise", "seed", "simulator"),
            "connect",
        }
        assert {name for name, there in networks.items() if "watch" in there} == {*WORKERS, "connect", "prometheus", "grafana"}
        assert {name for name, there in networks.items() if len(there) > 1} == {"connect", *WORKERS}

    def test_the_database_has_no_way_out(self, compose: dict[str, Any]) -> None:
        assert {name for name, network in compose["networks"].items() if network.get("internal")} == {"source"}

    def test_services_share_a_network_with_what_they_wait_for_and_name(self, services: dict[str, Service]) -> None:
        # SQL Server's jobs end before others go on: who waits for a job need not reach it.
        for name, service in services.items():
            text = f"{service.get('environment', {})} {service.get('command', [])}" if name in WORKERS else ""
            named = {other for other in services if f"{other}:" in text}
            running = {other for other in service.get("depends_on", {}) if other not in JOBS}
            for other in named | running:
                assert set(service["networks"]) & set(services[other]["networks"]), f"{name} cannot reach {other}"

    def test_no_check_starts_a_program_that_costs_much(self, services: dict[str, Service]) -> None:
        for name, service in services.items():
            check = service.get("healthcheck", {}).get("test")
            if check and "python" in check:
                assert check[:5] == ["CMD", "python", "-I", "-S", "/opt/owdd/probe.py"], name
            assert "kafka-" not in str(check), name

    def test_every_volume_is_named_and_used(self, compose: dict[str, Any], services: dict[str, Service]) -> None:
        mounted = {
            volume["source"] for it in services.values() for volume in it.get("volumes", []) if volume["type"] == "volume"
        }
        assert mounted == set(compose["volumes"])

    def test_what_is_mounted_from_the_checkout_exists_and_is_read_only(self, services: dict[str, Service]) -> None:
        binds = [volume for service in services.values() for volume in service.get("volumes", []) if volume["type"] == "bind"]
        assert len(binds) >= 4
        assert all(volume["read_only"] and Path(volume["source"]).exists() for volume in binds)


class TestScaling:
    @pytest.mark.parametrize("name", WORKERS)
    def test_a_worker_can_have_replicas(self, services: dict[str, Service], name: str) -> None:
        worker = services[name]
        assert not {"container_name", "ports", "hostname"} & set(worker)
        assert worker["environment"]["OWDD_DATA_SHARED"] == "true"

    def test_a_worker_has_the_time_that_it_needs_to_stop(self, services: dict[str, Service]) -> None:
        assert all(services[name]["stop_grace_period"] == "10s" for name in WORKERS)

    def test_prometheus_finds_every_replica_of_every_worker(self) -> None:
        jobs = yaml.safe_load((ROOT / "grafana" / "prometheus.yml").read_text())["scrape_configs"]
        (found,) = next(job for job in jobs if job["job_name"] == "owdd")["dns_sd_configs"]
        assert (tuple(found["names"]), found["port"]) == (WORKERS, Settings.model_fields["metrics_port"].default)


def test_the_console_and_dispatch_ask_every_worker_at_its_port(services: dict[str, Service]) -> None:
    port = Settings.model_fields["metrics_port"].default
    for name in ("console", "dispatch"):
        assert services[name]["environment"]["OWDD_WORKERS"] == ",".join(f"{name}:{port}" for name in WORKERS)
    (mapped,) = services["console"]["ports"]
    assert mapped["target"] == Settings.model_fields["console_port"].default

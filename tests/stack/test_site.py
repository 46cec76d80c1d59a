"""The override file that docs/operations.md gives for a real site, laid over the stack by Compose itself."""

import re
from pathlib import Path
from typing import Any

import pytest

from streams.connect.render import TRUSTSTORE_PASSWORD_FILE, connector
from streams.mapping import load_mapping
from streams.settings import Settings
from tests.stack.conftest import ROOT, Service, resolved

DEMONSTRATION = {"sqlserver", "orderwise", "seed", "simulator", "kafka", "sandbox", "verify"}


@pytest.fixture(scope="module")
def whole(secrets_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The stack of a site, with the console. Nobody has accepted SQL Server's licence."""
    (example,) = re.findall(
        r"^```yaml\n(x-site.*?)^```$", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL | re.MULTILINE
    )
    file = tmp_path_factory.mktemp("site") / "docker-compose.override.yml"
    file.write_text(example)
    return resolved(secrets_directory, "--file", str(file), "--profile", "console")


@pytest.fixture(scope="module")
def site(whole: dict[str, Any]) -> dict[str, Service]:
    """Its services, by name."""
    found: dict[str, Service] = whole["services"]
    return found


def settings_of(service: Service) -> Settings:
    """What a service of ours reads from its variables."""
    values = {key.removeprefix("OWDD_").lower(): value for key, value in service["environment"].items()}
    assert set(values) <= set(Settings.model_fields)
    return Settings.model_validate(values)


def test_nothing_of_the_demonstration_is_left(site: dict[str, Service]) -> None:
    assert not DEMONSTRATION & set(site)
    waited_for = {
        other for service in site.values() for other, wait in service.get("depends_on", {}).items() if wait["required"]
    }
    assert waited_for <= set(site)


def test_everything_of_ours_has_the_site_s_mapping_and_settings(site: dict[str, Service]) -> None:
    ours = {name: service for name, service in site.items() if service["image"].startswith("owdd:")}
    assert set(ours) == {"topics", "connectors", "fields", "ingest", "agents", "dispatch", "console"}
    for name, service in ours.items():
        settings = settings_of(service)
        assert (settings.source_tls, settings.replication, settings.topic_min_insync) == ("verify", 3, 2), name
        assert str(settings.mapping) in {volume["target"] for volume in service["volumes"]}, name
        assert service["environment"]["OWDD_KAFKA_BOOTSTRAP"] == site["connect"]["environment"]["BOOTSTRAP_SERVERS"], name


def test_workers_keep_their_state_and_their_confinement(site: dict[str, Service]) -> None:
    for name in ("agents", "dispatch"):
        assert "/var/lib/owdd" in {volume["target"] for volume in site[name]["volumes"]}
        assert site[name]["read_only"] is True


def test_every_secret_that_is_mounted_is_a_file_that_the_script_makes_or_the_page_names(
    whole: dict[str, Any], site: dict[str, Service], secrets_directory: Path
) -> None:
    mounted = {secret["source"] for service in site.values() for secret in service.get("secrets", [])}
    assert mounted <= set(whole["secrets"])
    files = {name: Path(whole["secrets"][name]["file"]) for name in mounted}
    assert {file.parent for file in files.values()} == {secrets_directory}
    page = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name, file in files.items() if not file.exists()} == {TRUSTSTORE_PASSWORD_FILE}
    assert f"`secrets/{TRUSTSTORE_PASSWORD_FILE}`" in page


def test_connect_has_every_file_that_the_connector_refers_to(site: dict[str, Service]) -> None:
    settings, connect = settings_of(site["connectors"]), site["connect"]
    config = connector(load_mapping(), "sqlserver", settings)
    directory = connect["environment"]["CONNECT_CONFIG_PROVIDERS_DIR_PARAM_ALLOWED_PATHS"]
    references = {(found[1], found[2]) for found in re.finditer(r"\$\{dir:([^:]+):(\w+)\}", " ".join(config.values()))}
    assert references == {(directory, Path(secret["target"]).name) for secret in connect["secrets"]}
    assert TRUSTSTORE_PASSWORD_FILE in {name for _, name in references}
    assert config["driver.trustStore"] in {volume["target"] for volume in connect["volumes"]}


def test_connect_s_own_topics_are_as_safe_as_ours(site: dict[str, Service]) -> None:
    settings, variables = settings_of(site["topics"]), site["connect"]["environment"]
    for topic in ("CONFIG", "OFFSET", "STATUS"):
        assert variables[f"CONNECT_{topic}_STORAGE_REPLICATION_FACTOR"] == str(settings.replication)
        assert variables[f"CONNECT_{topic}_STORAGE_MIN_INSYNC_REPLICAS"] == str(settings.topic_min_insync)


def test_no_service_names_one_that_the_site_does_not_run(site: dict[str, Service]) -> None:
    for name, service in site.items():
        named = re.findall(
            r"(?:^|[/,])([a-z][a-z-]*):\d+", "\n".join(map(str, service.get("environment", {}).values())), re.MULTILINE
        )
        # Without the profile "sandbox" .env names Dotdigital.
        assert set(named) - {"sandbox"} <= set(site), name


def test_what_is_mounted_is_in_the_checkout_or_beside_the_override(whole: dict[str, Any], site: dict[str, Service]) -> None:
    volumes = [volume for service in site.values() for volume in service.get("volumes", [])]
    binds = {Path(volume["source"]) for volume in volumes if volume["type"] == "bind"}
    assert {path.name for path in binds if not path.exists()} == {"mapping.yaml", "erp-ca.p12"}
    assert {volume["source"] for volume in volumes if volume["type"] == "volume"} <= set(whole["volumes"])
    assert {network for service in site.values() for network in service["networks"]} <= set(whole["networks"])
    assert not any(service.get("configs") or service.get("user") for service in site.values()), "the images' own users"


def test_probes_are_those_of_the_stack(site: dict[str, Service], services: dict[str, Service]) -> None:
    for name, service in site.items():
        assert service.get("healthcheck") == services[name].get("healthcheck"), name

"""The override file that docs/operations.md gives for a real site, laid over the stack by Compose itself."""

import re
from pathlib import Path
from typing import Any

import pytest

from streams.settings import Settings
from tests.stack.conftest import ROOT, resolved

DEMONSTRATION = {"sqlserver", "orderwise", "seed", "simulator", "kafka", "sandbox", "verify"}


@pytest.fixture(scope="module")
def site(secrets_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services of a site, by name."""
    (example,) = re.findall(
        r"^```yaml\n(x-site.*?)^```$", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL | re.MULTILINE
    )
    file = tmp_path_factory.mktemp("site") / "docker-compose.override.yml"
    file.write_text(example)
    found: dict[str, Any] = resolved(secrets_directory, "--file", str(file))["services"]
    return found


def test_nothing_of_the_demonstration_is_left(site: dict[str, Any]) -> None:
    assert not DEMONSTRATION & set(site)
    waited_for = {
        other for service in site.values() for other, wait in service.get("depends_on", {}).items() if wait["required"]
    }
    assert waited_for <= set(site)


def test_everything_of_ours_has_the_site_s_mapping_and_settings(site: dict[str, Any]) -> None:
    ours = {name: service for name, service in site.items() if service["image"].startswith("owdd:")}
    assert set(ours) == {"topics", "connectors", "fields", "ingest", "agents", "dispatch"}
    for name, service in ours.items():
        values = {key.removeprefix("OWDD_").lower(): value for key, value in service["environment"].items()}
        settings = Settings.model_validate(values)
        assert (settings.source_tls, settings.replication) == ("verify", 3), name
        assert str(settings.mapping) in {volume["target"] for volume in service["volumes"]}, name
        assert service["environment"]["OWDD_KAFKA_BOOTSTRAP"] == site["connect"]["environment"]["BOOTSTRAP_SERVERS"], name


def test_workers_keep_their_state_and_their_confinement(site: dict[str, Any]) -> None:
    for name in ("agents", "dispatch"):
        assert "/var/lib/owdd" in {volume["target"] for volume in site[name]["volumes"]}
        assert site[name]["read_only"] is True

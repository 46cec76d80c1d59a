"""The Compose file as Compose itself reads it, and the real Prometheus."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from testkit.local_services.debian import Package, programs
from testkit.local_services.prometheus import PROMETHEUS
from testkit.local_services.start_errors import AptMissing

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"

Service = dict[str, Any]

KUSTOMIZE = Package(
    "kustomize", "5.6.0+ds-1+b2", "552bbe5563b522685b10f75a9a226bfbee9778fc313b205d595fdbb7e9c70e33", suite="trixie"
)

ALERTMANAGER = Package(
    "prometheus-alertmanager", "0.25.0-1+b4", "4fb9aed15cfe8e0c32408e643ab32a1e41ee87d2cc26f18aeba928b1b0b98ae7"
)


@dataclass(frozen=True, slots=True)
class PrometheusPrograms:
    """Where Prometheus' two programs are."""

    prometheus: Path
    promtool: Path


@pytest.fixture(scope="session")
def secrets_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What docker/secrets.sh makes."""
    directory = tmp_path_factory.mktemp("stack") / "secrets"
    subprocess.run(["sh", ROOT / "docker" / "secrets.sh", directory], check=True, capture_output=True)
    return directory


@pytest.fixture(scope="session")
def compose(secrets_directory: Path) -> dict[str, Any]:
    """The whole stack, all profiles, after anchors, defaults and variables: what Compose would run."""
    return resolved(secrets_directory, "--profile", "*")


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, Service]:
    """Every service by name."""
    found: dict[str, Service] = compose["services"]
    return found


@pytest.fixture(scope="session")
def ours(services: dict[str, Service]) -> dict[str, Service]:
    """The services that run our images, the product's and the testkit's."""
    return {name: service for name, service in services.items() if service["image"].startswith(("owdd:", "owdd-testkit:"))}


def resolved(secrets: Path, *options: str) -> dict[str, Any]:
    """The Compose file, resolved by Compose; fails with Compose's own message where it refuses the file, or warns of it."""
    program = Path(sys.executable).with_name("docker-compose")
    environment = os.environ | {"OWDD_SECRETS": str(secrets)}
    files = ["--file", str(COMPOSE_FILE), "--env-file", str(ROOT / ".env.example")]
    done = subprocess.run(
        [program, *files, *options, "config", "--format", "json"], env=environment, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="session")
def prometheus_programs() -> PrometheusPrograms:
    """``prometheus`` and ``promtool``."""
    return PrometheusPrograms(*_programs(PROMETHEUS, "prometheus", "promtool"))


@pytest.fixture(scope="session")
def amtool() -> Path:
    """``amtool``."""
    (program,) = _programs(ALERTMANAGER, "amtool")
    return program


@pytest.fixture(scope="session")
def kustomize() -> Path:
    """``kustomize``."""
    (program,) = _programs(KUSTOMIZE, "kustomize")
    return program


def _programs(package: Package, *names: str) -> tuple[Path, ...]:
    try:
        return programs(package, *names)
    except AptMissing as error:
        pytest.skip(str(error))

"""A worker that is set up wrongly does not start: one sentence, the setting or place, and what to do.

``docs/operations.md`` has a table of these set-ups; a row that is missing there, or says something else, fails here.
"""

import os
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from streams.cli.exit_codes import ExitCode
from streams.engine.data_dir import own_data_dir
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.start_checks import check_open_files
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings, unknown_variables
from testkit.local_services import kafka

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
SECRET = "k" * 32


def start(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """``owdd run`` until it refuses."""
    return start_by([sys.executable, "-m", "streams", "run", *arguments], environment)


def start_by(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """``command`` with the settings in ``environment`` and none of this process: other tests leave theirs here."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OWDD_")}
    settings = {"OWDD_SECRETS_DIR": "/nonexistent", "OWDD_METRICS_PORT": "0"} | environment
    return subprocess.run(command, env=bare | settings, capture_output=True, text=True, timeout=60, check=False)


def refused(done: "subprocess.CompletedProcess[str]", code: ExitCode, **shown: object) -> None:
    """It ended with ``code`` and one line, which the operations page has; ``shown`` are the values in it."""
    assert done.returncode == code, done.stderr
    assert (done.stdout, done.stderr.count("\n")) == ("", 1), done.stderr
    line = done.stderr.removeprefix("error: ").rstrip("\n")
    for name, value in shown.items():
        assert str(value) in line
        line = line.replace(str(value), f"<{name}>")
    assert f"| {code.name} | {line} |" in OPERATIONS, f"the table of wrong set-ups lacks:\n| … | {code.name} | {line} |"


def test_a_wrong_value(tmp_path: Path) -> None:
    refused(start({"OWDD_PARTITIONS": "0", "OWDD_DATA_DIR": str(tmp_path)}), ExitCode.INVALID)


def test_the_shipped_key_for_real_contacts(tmp_path: Path) -> None:
    refused(start({"OWDD_DOTDIGITAL_URL": "auto", "OWDD_DATA_DIR": str(tmp_path)}), ExitCode.INVALID)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = start({"OWDD_METRICS_PORT": str(port), "OWDD_DATA_DIR": str(tmp_path)})
    refused(done, ExitCode.INVALID, port=port)


def test_too_few_open_files(tmp_path: Path) -> None:
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)); from streams.cli import app; app(['run'])"
    environment = {"OWDD_DATA_DIR": str(tmp_path), "OWDD_PARTITIONS": "8"}
    refused(start_by([sys.executable, "-c", script], environment), ExitCode.INVALID)


def test_a_soft_limit_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (230, hard))
    try:
        check_open_files(2)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 920
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def a_file(directory: Path) -> None:
    (directory / "data").write_text("")


def replicas(directory: Path) -> None:
    (directory / "data" / "0").mkdir(parents=True)
    (directory / "data" / "0" / "lock").write_text("")


@pytest.mark.parametrize("make", [a_file, replicas])
def test_a_data_directory_in_the_wrong_form(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path)
    refused(start({"OWDD_DATA_DIR": str(tmp_path / "data")}), ExitCode.INVALID, directory=tmp_path / "data")


def test_a_data_directory_in_use(tmp_path: Path) -> None:
    with own_data_dir(tmp_path / "data"):
        refused(start({"OWDD_DATA_DIR": str(tmp_path / "data")}), ExitCode.REFUSED, directory=tmp_path / "data")


def test_a_data_directory_is_its_owners_only(tmp_path: Path) -> None:
    with own_data_dir(tmp_path / "data") as directory:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_broker_that_is_away(tmp_path: Path) -> None:
    done = start({"OWDD_KAFKA_BOOTSTRAP": "127.0.0.1:1", "OWDD_DATA_DIR": str(tmp_path)})
    assert done.returncode == ExitCode.UNREACHABLE, done.stderr
    assert "OWDD_KAFKA_BOOTSTRAP" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, app_id=f"start-{uuid4().hex[:8]}", partitions=2, data_dir=tmp_path)


def environment(settings: Settings, partitions: int) -> dict[str, str]:
    return {
        "OWDD_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "OWDD_APP_ID": settings.app_id,
        "OWDD_PARTITIONS": str(partitions),
        "OWDD_DATA_DIR": str(settings.data_dir),
    }


def test_topics_that_are_missing(settings: Settings) -> None:
    names = Topics.of(settings.app_id)
    done = start(environment(settings, 2), "--only=agents")
    refused(done, ExitCode.INVALID, topics=f"{names.orders}, {names.buyers}, {names.contacts}")


async def test_topics_with_other_partitions(settings: Settings) -> None:
    ours = [spec for spec in specs(settings, load_mapping()) if spec.name.startswith(settings.app_id)]
    await apply_topics(KafkaConfig.of(settings), ours, execute=True)
    names = Topics.of(settings.app_id)
    done = start(environment(settings, 4), "--only=agents")
    topics = ", ".join(f"{name} has 2" for name in (names.orders, names.buyers, names.contacts))
    refused(done, ExitCode.INVALID, topics=topics)


def test_a_variable_that_is_no_setting_is_named_with_the_nearest() -> None:
    found = unknown_variables({"OWDD_PARTITION": "8", "OWDD_PARTITIONS": "8", "OWDD_SOURCE_ANY": "", "HOME": "", "OWDD_QQ": ""})
    assert found == {"OWDD_PARTITION": "OWDD_PARTITIONS", "OWDD_QQ": None}

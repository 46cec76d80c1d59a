"""What all tests share: one real broker, and the groups in which several processes take the tests.

A test that needs the broker uses topics of its own. ``make test`` runs the tests in several processes, for those with real
programs mostly wait; all processes use the same broker.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from streams.settings import Settings
from testkit.local_services import kafka

_SPREAD = (
    "tests/convergence/test_seeds.py",
    "tests/convergence/test_faults.py",
    "tests/convergence/test_kills.py",
    "tests/convergence/test_rebuild.py",
    "tests/convergence/test_dead_letters.py",
    "tests/erasure/test_erase_live.py",
)
"""Long tests that share nothing but the broker: each is a group of its own, so that no process gets them all."""

_CAPTURED_TOPICS = (
    "tests/connect/test_connectors_live.py",
    "tests/connect/test_guard_in_worker.py",
    "tests/connect/test_jmx.py",
    "tests/connect/test_large_columns.py",
    "tests/connect/test_lint.py",
    "tests/dlq/test_box.py",
)
"""One group: their topics are those of the default mapping, and most of them share a Connect worker."""

_CONNECT = ("tests/testkit/local_services/test_connect.py", "tests/testkit/local_services/test_validation.py")
"""One group, that shares a Connect worker."""

_CUT_LOGS = ("tests/engine/test_cut_logs.py", "tests/engine/test_lost_writes.py", "tests/ingest/test_cut_captured.py")
"""One group, that shares the broker which it kills."""

_FIRST = (
    "tests/operations/test_documented_commands.py",
    "tests/convergence/test_rebuild.py",
    "tests/cdc",
    "tests/upgrade",
    "tests/connect",
    "tests/kafka/test_secured_broker.py",
    "tests/stack/test_prometheus.py",
    "tests/stack/test_readme.py",
    "tests/convergence",
    "tests/stack/test_image.py",
    "tests/testkit",
    "tests/erasure",
    "tests/golden",
    "tests/engine",
    "tests/dlq",
    "tests/stack",
    "tests/operations",
    "tests/console",
)
"""Groups that take minutes begin first, or the last of them would run alone at the end."""


def group(nodeid: str) -> str:
    """The group of a test: one process gets all tests of a group. Mostly its file, for files share fixtures."""
    file = nodeid.partition("::")[0]
    if file in _SPREAD:
        return nodeid
    return next((files[0] for files in (_CAPTURED_TOPICS, _CONNECT, _CUT_LOGS) if file in files), file)


class _ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Not xdist's loadgroup: it writes a group into a test's id, which this pytest no longer lets it."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Hand out whole groups."""
    return _ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long tests; the order inside a file stays."""
    items.sort(key=lambda item: next((rank for rank, start in enumerate(_FIRST) if item.nodeid.startswith(start)), len(_FIRST)))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a broker that runs; the last process that uses it stops it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    directory = shared / "kafka"
    with (shared / "kafka.users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        # All tests' topics are in it at once.
        kafka.start(directory, heap="1g")
        try:
            yield directory
        finally:
            # Release first: of two processes that both hold the lock, neither could ever have it alone.
            fcntl.flock(users, fcntl.LOCK_UN)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                kafka.stop(directory)


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of another broker, which no test uses meanwhile: it may be killed, and its files may be cut."""
    directory = tmp_path_factory.mktemp("own-broker")
    with kafka.embedded_broker(directory, short_lived=True):
        yield directory


@pytest.fixture
def settings_of_own_broker(own_broker: Path, tmp_path: Path) -> Settings:
    """Settings of a worker there."""
    running = kafka.status(own_broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=4, session_timeout=6)

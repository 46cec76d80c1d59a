"""What all tests share: one real broker, and the groups in which several processes take the tests.

A test that needs the broker uses topics of its own. ``make test`` runs the tests in several processes, for those with real
programs mostly wait; all processes use the same broker.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.local_services import kafka

_SPREAD = ("tests/convergence/test_seeds.py", "tests/convergence/test_faults.py", "tests/convergence/test_kills.py")
"""Long tests that share nothing but the broker: each is a group of its own, so that no process gets them all."""

_FIRST = ("tests/cdc", "tests/connect", "tests/convergence", "tests/testkit/local_services", "tests/golden", "tests/dlq")
"""Groups that take minutes begin first, or the last of them would run alone at the end."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, and begin with the long ones; the order inside a file stays."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid if file in _SPREAD else file))
    items.sort(key=lambda item: next((rank for rank, start in enumerate(_FIRST) if item.nodeid.startswith(start)), len(_FIRST)))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a broker that runs; the last process that uses it stops it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    directory = shared / "kafka"
    with (shared / "kafka.users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        kafka.start(directory)
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

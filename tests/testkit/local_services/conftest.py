"""One Connect worker for all tests that only talk to it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.local_services import connect, kafka
from testkit.local_services.connect import WorkerInfo

USER = "OWDD_SOURCE_TEST_USER"
NOT_FOR_CONNECTORS = "OWDD_TEST_PASSWORD"


@pytest.fixture(scope="session")
def bootstrap(broker: Path) -> str:
    """``host:port`` of the broker that all tests share."""
    running = kafka.status(broker).broker
    assert running is not None
    return running.bootstrap


@pytest.fixture(scope="session")
def worker(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerInfo]:
    """A worker whose environment has one variable for connectors, and one that is none of their business."""
    directory = tmp_path_factory.mktemp("connect")
    # Only while it starts: tests of this process that come later look at the environment too.
    os.environ |= {USER: "reader", NOT_FOR_CONNECTORS: "quagga"}
    try:
        started = connect.start(directory, bootstrap, group="shared", short_lived=True)
    finally:
        del os.environ[USER], os.environ[NOT_FOR_CONNECTORS]
    try:
        yield started
    finally:
        connect.stop(directory)

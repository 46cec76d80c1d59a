"""One real broker for all tests that need one; every test uses topics of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.local_services import kafka


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a broker that runs."""
    directory = tmp_path_factory.mktemp("kafka")
    with kafka.embedded_broker(directory):
        yield directory

"""How several processes share the tests: what one program or one set of topics serves stays in one process."""

from pathlib import Path

import pytest

from tests import conftest
from tests.conftest import group

ROOT = Path(__file__).parents[1]
SHARING = (conftest._CAPTURED_TOPICS, conftest._CONNECT, conftest._CUT_LOGS)
FILES = (*conftest._SPREAD, *(file for files in SHARING for file in files))


def test_the_tests_of_a_file_stay_together() -> None:
    assert group("tests/cdc/test_capture.py::test_a") == group("tests/cdc/test_capture.py::TestB::test_c[1]")
    assert group("tests/cdc/test_capture.py::test_a") != group("tests/cdc/test_demo_cdc.py::test_a")


def test_long_tests_that_share_nothing_are_spread() -> None:
    assert group("tests/convergence/test_seeds.py::test_a[1]") != group("tests/convergence/test_seeds.py::test_a[2]")


@pytest.mark.parametrize("files", SHARING)
def test_files_that_share_a_program_stay_together(files: tuple[str, ...]) -> None:
    assert len({group(f"{file}::test") for file in files}) == 1


@pytest.mark.parametrize("file", FILES)
def test_every_file_that_is_named_exists(file: str) -> None:
    assert (ROOT / file).is_file()

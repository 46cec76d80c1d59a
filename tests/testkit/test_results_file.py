"""Results are appended, and read back whatever wrote them."""

from pathlib import Path

import msgspec
import pytest

from testkit.results_file import ResultsFile


class Result(msgspec.Struct, frozen=True):
    name: str
    seconds: float | None


A, B = Result("a", 1.5), Result("b", None)


@pytest.fixture
def results(tmp_path: Path) -> ResultsFile[Result]:
    return ResultsFile(tmp_path / "not there yet" / "results.jsonl", Result)


def test_results_are_appended_and_read_back(results: ResultsFile[Result]) -> None:
    assert list(results.all()) == []
    for result in (A, B):
        results.append(result)
    assert list(results.all()) == [A, B]
    assert results.path.read_text().count("\n") == 2


def test_a_line_that_is_no_result_is_named(results: ResultsFile[Result]) -> None:
    results.append(A)
    with results.path.open("a") as file:
        file.write("{}\n")
    with pytest.raises(ValueError, match="line 2"):
        list(results.all())

"""No name of the former private vocabulary is left: docs/glossary.md has the words that the field uses."""

import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _named(names: str) -> frozenset[str]:
    return frozenset(names.split())


TREES = ("streams", "testkit", "tests", "bench")

STEMS = frozenset({"tell", "tells", "telling", "teller", "told", "hear", "hears", "heard", "bury", "buries", "buried", "news"})

EVERYWHERE = _named(
    """
    voice Voice RecordTeller Forgetting next_cell Cell Fact Left Found Mark Wanted Ask Answer Owner Seek Word Said followed_to
    goes_along OutboxRow deliverables empty_handed joining born _doubt _stay _learn _look_back _carry _ask_again Minute Hour
    BudgetGovernor ImportSlots adopt Share Note _bring _retire _revive Freight _alike Follower Troubles _vanished Answers Rules
    Destination Schedule Place _Gate Bound _wordless LaterError UnsentError undone Ceiling ENTRANCE clashes Box Letter Selection
    ErasedAddresses Asked Flags Acted Pace claimed _apart until_end records_of clear_topics _said _nobody_works Standing
    Sightings Act Patience _complaints mishaps Mishaps rewrites crowd judge holding
    """
)
"""Names that meant something only to those who had been taught them, and that no other part of the code needs."""

WITHIN = {
    "streams/agents": {"note", "judge", "ledger"},
    "streams/dispatch/outbox": {"unsure", "tried", "settle", "want", "Entry", "holder", "Job"},
    "streams/dispatch/rate_limit": {"take", "allowance"},
    "streams/domain": {"Kind", "Part", "Verdict", "accepts", "ledger", "spread", "windows"},
    "streams/dotdigital": {"Kind", "Verdict", "Job", "Item", "Wire", "failure", "on", "change", "update"},
    "streams/engine": {"began", "then"},
    "streams/ingest": {"holding", "fresh"},
    "streams/messages": {"Kind", "Part", "Verdict"},
    "streams/operations": {"Trace", "takes"},
    "streams/connect": {"judged"},
    "testkit/sandbox": {"gate", "Gate"},
}
"""Good words elsewhere, that meant something of their own in these packages."""

MODULES = {
    "streams": _named(
        """
        voice ledger spread allowance budget ceilings shares deliver follow freight importer reports troubles answers running
        rules box letters selection
        """
    ),
    "testkit": frozenset({"mishaps", "gate", "rewrites"}),
    "tests": frozenset({"crowd", "world", "shop", "shops"}),
}
"""Names of modules, by the tree in which they are gone."""


def _words(name: str) -> set[str]:
    """The words of a name, whether they are joined by underscores or by capitals."""
    return {word.lower() for word in re.split(r"_+|(?<=[a-z0-9])(?=[A-Z])", name)}


@cache
def _names() -> list[tuple[str, str]]:
    """Every name in code, with its file; names in strings and comments are prose."""
    return [(file.relative_to(ROOT).as_posix(), name) for file in _files() for name in set(_tokens(file))]


def _files() -> Iterator[Path]:
    for tree in TREES:
        yield from sorted((ROOT / tree).rglob("*.py"))


def _tokens(file: Path) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(file.read_text("utf-8")).readline):
        if token.type == tokenize.NAME:
            yield token.string


def test_no_name_has_a_stem_of_the_former_vocabulary() -> None:
    in_code = [(file, name) for file, name in _names() if _words(name) & STEMS]
    in_modules = [file.name for file in _files() if _words(file.stem) & STEMS]
    assert (in_code, in_modules) == ([], [])


def test_no_former_name_is_left_anywhere() -> None:
    assert [(file, name) for file, name in _names() if name in EVERYWHERE] == []


@pytest.mark.parametrize("package", WITHIN)
def test_no_former_name_is_left_in_the_package_where_it_misled(package: str) -> None:
    inside = [(file, name) for file, name in _names() if file.startswith(f"{package}/")]
    assert inside, f"{package} is gone: where do its names live now?"
    assert [(file, name) for file, name in inside if name in WITHIN[package]] == []


@pytest.mark.parametrize("tree", MODULES)
def test_no_module_has_its_former_name(tree: str) -> None:
    assert [file.as_posix() for file in (ROOT / tree).rglob("*.py") if file.stem in MODULES[tree]] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("RecordTeller", {"record", "teller"}),
        ("told_out", {"told", "out"}),
        ("_untellable", {"", "untellable"}),
        ("TestNoNews", {"test", "no", "news"}),
        ("NEWS", {"news"}),
    ],
)
def test_words_of_a_name(name: str, words: set[str]) -> None:
    assert _words(name) == words

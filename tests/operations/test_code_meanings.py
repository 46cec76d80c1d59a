"""Every code under which something is set aside has a meaning for people."""

import re
from pathlib import Path

import pytest

from streams.dotdigital.codes import CODES
from streams.operations.code_meanings import DEAD_LETTERS, HELD, Kind, command, meaning
from tests.operations.held_codes import held_codes_in_the_product

DOCS = Path(__file__).parents[2] / "docs"


def test_dead_letters_have_the_codes_of_their_page() -> None:
    rows = [line.split("|")[1] for line in (DOCS / "dead-letters.md").read_text().splitlines() if line.startswith("| `")]
    assert {code for row in rows for code in re.findall(r"`([a-z0-9_]+)`", row)} == DEAD_LETTERS.keys()


def test_held_documents_have_all_codes_of_the_domain() -> None:
    assert held_codes_in_the_product() == HELD.keys()


@pytest.mark.parametrize("kind", ["dead letter", "parked", "held", "frozen", "removals"])
def test_an_unknown_code_has_words_and_a_command_too(kind: Kind) -> None:
    found = meaning(kind, "made_up")
    assert found.words and found.remedy and command(kind, "made_up").startswith("owdd ")


def test_parked_deliveries_show_the_hint_of_their_code() -> None:
    for code, known in CODES.items():
        found = meaning("parked", code)
        assert known.hint in found.words

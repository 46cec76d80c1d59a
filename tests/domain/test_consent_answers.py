"""A row that opts out by itself differs from one in which a changed word list sees an opt-out."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.capture import rows
from streams.capture.reader import readers
from streams.domain.consent_answers import answers_by_address, combined_answers, opts_out_anew
from streams.domain.versioned import Versioned
from streams.mapping import load_mapping
from streams.mapping.model import ConsentRule
from streams.messages.changes import ConsentAnswer
from tests.capture.records import ROWS

MAPPING = load_mapping()
ANN = "ann@bright.co.uk"
Words = dict[int, str]
"""The word of each contact row."""

words = st.dictionaries(st.integers(1, 3), st.sampled_from(("yes", "no", "maybe", "", "Never")), min_size=1)
outs = st.frozensets(st.sampled_from(("no", "maybe", "", "never")), min_size=1)


def reading(opted_out: frozenset[str]) -> Callable[[Words], tuple[ConsentAnswer, ...]]:
    """How the address's answers are read by a list of words for out."""
    rule = ConsentRule(mode="column", column="cc_opt", opted_in=frozenset({"yes"}), opted_out=opted_out)
    reader = readers(MAPPING.model_copy(update={"consent": rule}))["customer_contact"]

    def answers(said: Words) -> tuple[ConsentAnswer, ...]:
        read = {pk: reader.read(ROWS["customer_contact"] | {"cc_opt": word}) for pk, word in said.items()}
        cells = {pk: Versioned(b"", row) for pk, row in read.items() if isinstance(row, rows.Contact)}
        return answers_by_address(cells)[ANN]

    return answers


@given(said=words, before=outs, after=outs)
def test_the_same_rows_read_by_another_list_opt_nobody_out_anew(
    said: Words, before: frozenset[str], after: frozenset[str]
) -> None:
    assert not opts_out_anew(reading(before)(said), reading(after)(said))


@given(said=words, changed=words, out=outs)
def test_a_row_that_takes_a_word_for_out_opts_out_anew(said: Words, changed: Words, out: frozenset[str]) -> None:
    anew = any(word.casefold() in out and said.get(pk) != word for pk, word in changed.items())
    read = reading(out)
    assert opts_out_anew(read(said), read(said | changed)) is anew


@pytest.mark.parametrize("before", [(), (ConsentAnswer(0, False), ConsentAnswer(5, True))])
def test_where_not_every_answer_was_known_none_is_anew(before: tuple[ConsentAnswer, ...]) -> None:
    assert not opts_out_anew(before, [ConsentAnswer(6, True)])
    assert opts_out_anew([ConsentAnswer(5, True)], [ConsentAnswer(6, True)])


def test_of_many_rows_some_are_kept_and_it_is_known_that_others_are_not() -> None:
    many = [ConsentAnswer(digest, True) for digest in range(1, 50)]
    kept = combined_answers(reversed(many))
    assert kept == (ConsentAnswer(0, False), *many[:31])
    assert not opts_out_anew(kept, many)
    assert combined_answers(many[:32]) == tuple(many[:32])


def test_a_row_that_an_earlier_release_read_has_no_known_answer() -> None:
    cells = {1: Versioned(b"", rows.Contact((ANN,), "Ann", None, False)), 2: Versioned(b"", None)}
    assert answers_by_address(cells) == {ANN: (ConsentAnswer(0, False),)}

"""Whether what Dotdigital shows is what was sent."""

import pytest

from streams.domain.field_values import same


@pytest.mark.parametrize("text", ["Nan", "NAN001", "SNAN001", "Snan", "Infinity", "-inf", "Ann"])
def test_a_text_that_reads_like_a_number_equals_itself_and_no_other(text: str) -> None:
    assert same(text, text)
    assert not same(text, "Bob")


@pytest.mark.parametrize(
    ("one", "other"), [("12.50", 12.5), (None, ""), (True, "true"), ("2026-11-30T00:00:00Z", "2026-11-30")]
)
def test_other_ways_to_write_a_value_are_the_same(one: object, other: object) -> None:
    assert same(one, other)
    assert not same(one, "Ann")

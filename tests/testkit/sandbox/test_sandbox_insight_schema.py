"""What the first record fixes for the later ones."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testkit.sandbox.insightschema import Fields, MisfitError, absorb

DATE = "2025-01-01T10:00:00+01:00"


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (1, 2.5),
        (2.5, 1),
        (1, Decimal("1.000000000000000001")),
        ("x", DATE),
        (DATE, "2024-01-01T00:00:00Z"),
        ({"a": 1}, {"b": "x"}),
        ([{"a": 1}], [{"a": 2, "b": []}]),
        ([], ["x"]),
        (True, None),
        (None, "x"),
    ],
)
def test_these_go_together(first: Any, later: Any) -> None:
    fields: Fields = {}
    absorb(fields, {"p": first})
    absorb(fields, {"p": later})


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (1, "1"),
        ("1", 1),
        (1, True),
        (DATE, "soon"),
        (DATE, "2025-01-01"),
        ([], {"a": 1}),
        ({"a": 1}, []),
        ("x", ["x"]),
        (["x"], [1]),
        ([{"a": 1}], [{"a": "1"}]),
        ({"a": {"b": 1}}, {"a": {"b": "1"}}),
    ],
)
def test_these_do_not(first: Any, later: Any) -> None:
    fields: Fields = {}
    absorb(fields, {"p": first})
    with pytest.raises(MisfitError) as caught:
        absorb(fields, {"p": later})
    assert caught.value.reason == "JsonValueIncompatibleWithSchema"
    assert caught.value.path.startswith("p")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"a b": 1}, "JsonKeyInvalidCharacters"),
        ({"a": {"b.c": 1}}, "JsonKeyInvalidCharacters"),
        ({"x" * 256: 1}, "JsonKeyTooLong"),
        ({"a": "x" * 1001}, "JsonValueTooLong"),
        ({"a": 10**18}, "JsonNumberValueTooLarge"),
        ({"a": [[1]]}, "JsonContainsNestedArray"),
        ({"a": [{"b": [[]]}]}, "JsonContainsNestedArray"),
        ({"a-b": 1, "a_b": None}, "JsonContainsDashUnderscoreClash"),
        ({"old_name": 1}, "JsonContainsDashUnderscoreClash"),
    ],
)
def test_a_record_must_be_well_made(record: dict[str, Any], reason: str) -> None:
    fields: Fields = {}
    absorb(fields, {"old-name": 1})
    with pytest.raises(MisfitError) as caught:
        absorb(fields, record)
    assert caught.value.reason == reason


def test_depth_has_a_bound() -> None:
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"a": deep}
    with pytest.raises(MisfitError) as caught:
        absorb({}, deep)
    assert caught.value.reason == "InvalidJson"


def test_an_array_inside_an_array_of_objects_is_fine() -> None:
    absorb({}, {"products": [{"categories": [{"name": "Hats"}]}]})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.sampled_from(("x", DATE)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("a", "b", "a-b", "a_b")), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.sampled_from(("p", "q", "r")), VALUES, max_size=3)


@given(st.lists(RECORDS, max_size=6))
def test_a_refused_record_leaves_no_trace_and_an_accepted_one_fits_again(records: list[dict[str, Any]]) -> None:
    fields: Fields = {}
    for record in records:
        before = deepcopy(fields)
        try:
            absorb(fields, record)
        except MisfitError:
            assert fields == before
        else:
            settled = deepcopy(fields)
            absorb(fields, record)
            assert fields == settled

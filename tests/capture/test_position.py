"""Positions: bytes that compare as the source's history went."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture.position import just_before, position_of
from streams.core.errors import RecordError

unhurried = settings(deadline=None)
epochs = st.integers(0, 0xFFFF)
lsns = st.builds("{:08x}:{:08x}:{:04x}".format, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1))


def position(lsn: object, epoch: int = 0, **source: Any) -> bytes:
    """The position of a SQL Server event."""
    return position_of({"connector": "sqlserver", "commit_lsn": lsn} | source, epoch)


def test_it_is_the_epoch_and_the_commit_lsn() -> None:
    assert position("0000003a:000012f8:0004", 1) == bytes.fromhex("0001 0000003a 000012f8 0004")


@unhurried
@given(lsns, lsns, epochs)
def test_positions_of_one_epoch_compare_as_their_lsns_do_as_text(first: str, second: str, epoch: int) -> None:
    assert (position(first, epoch) < position(second, epoch)) == (first < second)
    assert (position(first, epoch) == position(second, epoch)) == (first == second)


@unhurried
@given(lsns, lsns, epochs, epochs)
def test_a_later_epoch_comes_after_whatever_the_lsn(first: str, second: str, early: int, late: int) -> None:
    if early != late:
        early, late = sorted((early, late))
        assert position(first, early) < position(second, late)


@unhurried
@given(lsns, epochs)
def test_every_position_has_one_width(lsn: str, epoch: int) -> None:
    assert len(position(lsn, epoch)) == 12


@unhurried
@given(lsns, epochs)
def test_a_row_read_before_the_first_commit_comes_before_every_commit(lsn: str, epoch: int) -> None:
    assert position(None, epoch) <= position(lsn, epoch)
    assert position("NULL", epoch) == position(None, epoch) == position_of({"connector": "sqlserver"}, epoch)


def test_inside_one_commit_the_order_of_arrival_rules() -> None:
    lsn = "0000003a:000012f8:0004"
    first = position(lsn, change_lsn="0000003a:000012f8:0003", event_serial_no=2)
    assert first == position(lsn, change_lsn="0000003a:000012f8:0002", event_serial_no=1)


@unhurried
@given(lsns, lsns, epochs)
def test_just_before_is_after_every_earlier_commit_and_never_in_an_earlier_epoch(first: str, second: str, epoch: int) -> None:
    assert position(None, epoch) <= just_before(position(first, epoch)) <= position(first, epoch)
    if first < second:
        assert position(first, epoch) <= just_before(position(second, epoch)) < position(second, epoch)


@unhurried
@given(epochs)
def test_nothing_is_before_everything(epoch: int) -> None:
    assert just_before(position(None, epoch)) == position(None, epoch)


def test_upper_case_is_the_same_number() -> None:
    assert position("0000003A:000012F8:0004") == position("0000003a:000012f8:0004")


@pytest.mark.parametrize(
    "lsn",
    [
        "",
        "null",
        "0000003a:000012f8:004",
        "0000003a:000012f8:00004",
        "0000003a-000012f8-0004",
        "0000003g:000012f8:0004",
        "000003a :000012f8:0004",
        "00 0003a:000012f8:00 4",
        "0x00003a:000012f8:0004",
        "+000003a:000012f8:0004",
        "٣000003a:000012f8:0004",
        "0000003a:000012f8:0004\n",
        0,
        58,
        5.8,
        True,
        [],
        {},
    ],
    ids=repr,
)
def test_what_is_no_lsn_is_refused(lsn: object) -> None:
    with pytest.raises(RecordError) as caught:
        position(lsn)
    assert caught.value.code == "bad_lsn"


@unhurried
@given(st.text(alphabet="0123456789abcdefABCDEF: g\t٣", min_size=22, max_size=22))
def test_text_is_an_lsn_or_refused(text: str) -> None:
    try:
        assert len(position(text)) == 12
    except RecordError as error:
        assert error.code == "bad_lsn"


@pytest.mark.parametrize("connector", ["mysql", "SQLServer", "", None, 5, ["sqlserver"], {}], ids=repr)
def test_a_connector_that_nobody_can_read_is_refused(connector: object) -> None:
    with pytest.raises(RecordError) as caught:
        position_of({"connector": connector, "commit_lsn": None}, 0)
    assert caught.value.code == "unknown_connector"

"""No row grows with the data without a limit: what passes the limit is held under its own reason."""

import msgspec
import pytest

from streams.core.errors import RecordError
from streams.domain import line_index
from streams.domain.contact_projection import MOST_BUYERS
from streams.domain.orders import MOST_ROWS
from streams.engine.unit_of_work import MAX_BYTES
from streams.messages.changes import ConsentAnswer
from tests.agents.pipeline import (
    ANN,
    CREDIT,
    EVE,
    LOOKUP,
    MAPPING,
    ORDER,
    PEOPLE,
    Pipeline,
    customer,
    header,
    line,
    total,
)


def largest(pipeline: Pipeline) -> int:
    """Bytes of the largest state row of any stage."""
    return max(len(value) for state in pipeline.state.values() for value in state.rows.values())


def test_a_placeholder_address_of_very_many_accounts_is_held_and_what_was_delivered_stays() -> None:
    everybodys = MAPPING.exclude.model_copy(update={"shared_by": 10 * MOST_BUYERS})
    pipeline = Pipeline(MAPPING.model_copy(update={"exclude": everybodys}))
    pipeline.pump(*(customer(number, EVE) for number in range(1, MOST_BUYERS + 1)))
    assert not pipeline.contacts.held.counts()
    before = pipeline.desired[EVE]
    pipeline.pump(*(customer(number, EVE) for number in range(MOST_BUYERS + 1, 3 * MOST_BUYERS)))
    assert pipeline.contacts.held.counts() == {"address_shared": 1}
    # Its content is as it was. It is marked as shared, and not every account's words on consent are known.
    unknown = (ConsentAnswer(0, out=False),)
    assert pipeline.desired[EVE][1] == msgspec.structs.replace(before[1], shared=True, answers=unknown)
    size = largest(pipeline)
    pipeline.pump(*(customer(number, EVE) for number in range(3 * MOST_BUYERS, 4 * MOST_BUYERS)))
    assert largest(pipeline) == size < MAX_BYTES
    pipeline.restart()
    assert pipeline.contacts.held.counts() == {"address_shared": 1}


def test_an_order_of_very_many_rows_is_held_and_grows_no_further() -> None:
    pipeline = Pipeline()
    lines = [line(10, number, variant=5, quantity="1", net="0.01") for number in range(100, 100 + MOST_ROWS + 50)]
    pipeline.pump(LOOKUP, PEOPLE, header(10), total(10), *lines)
    assert pipeline.orders.held.counts() == {"order_too_large": 1}
    assert largest(pipeline) < MAX_BYTES
    size = largest(pipeline)
    pipeline.pump(*(line(10, number) for number in range(10_000, 10_100)))
    assert largest(pipeline) == size


def test_an_order_as_large_as_may_be_is_live() -> None:
    pipeline = Pipeline()
    lines = [line(10, number, variant=5, quantity="1", net="0.01") for number in range(100, 100 + MOST_ROWS - 1)]
    pipeline.pump(LOOKUP, PEOPLE, header(10), total(10), *lines)
    assert not pipeline.orders.held.counts() and pipeline.count(ANN) == 1
    assert len(pipeline.records()[ANN, "SO10"]) < MAX_BYTES


def test_a_line_that_very_many_credit_notes_name_refuses_further_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_index, "MOST_CREDITS", 1)
    pipeline = Pipeline()
    pipeline.pump(LOOKUP, PEOPLE, ORDER, CREDIT)
    pipeline.feed(header(21, sort=4), total(21, "3"), line(21, 210, original=100))
    with pytest.raises(RecordError, match="line_credited_too_often"):
        pipeline.pump()

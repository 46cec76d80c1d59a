"""Orders from before the site's history: they do not enter, or count without a record."""

from datetime import UTC, datetime
from typing import Literal

import pytest

from streams.mapping.model import History
from tests.agents.pipeline import ANN, LOOKUP, MAPPING, Pipeline, customer, header, line, total
from tests.agents.test_records import credit

SHOP = LOOKUP + customer(1, ANN) + header(10) + total(10) + line(10, 100) + header(11) + total(11) + credit(12, "2", (100, "2"))


@pytest.mark.parametrize(("before", "orders", "spend"), [("ignore", 1, 10), ("count", 2, 18)])
def test_older_orders_have_no_record(before: Literal["ignore", "count"], orders: int, spend: int) -> None:
    history = History(since=datetime.fromtimestamp(1_700_000_011, UTC), before=before)
    mapping = MAPPING.model_copy(update={"order": MAPPING.order.model_copy(update={"history": history})})
    pipeline = Pipeline(mapping).pump(SHOP)
    assert pipeline.records().keys() == {(ANN, "SO11")}
    assert [pipeline.contact(ANN)[name] for name in ("OW_ORDER_COUNT", "OW_TOTAL_SPEND")] == [orders, spend]
    assert not pipeline.orders.held.counts()
    assert pipeline.contact(ANN)["OW_REFUNDED"] is (before == "count"), "what does not enter is not given back either"
    pipeline.pump(header(10, at=2, later=5))
    assert pipeline.contact(ANN)["OW_TOTAL_SPEND"] == 18
    assert pipeline.records().keys() == {(ANN, "SO10"), (ANN, "SO11")}, "its date was corrected"

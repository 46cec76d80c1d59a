"""A date in the far future or past, from the captured row to the contact: it excludes nobody, and nobody is a recent buyer by it."""

from typing import Any

import pytest

from streams.ingest.router import Router
from tests.agents.pipeline import ANN, MAPPING, TOPICS, Pipeline
from tests.ingest.test_router import BORN, SAMPLES, event

LOOKUP = {"os_id": 2, "os_description": "Dispatched"}
FUTURE, PAST, NOW = "2064-03-05T08:41:12Z", "1900-01-01T00:00:00Z", "2026-03-05T08:41:12Z"
IMPOSSIBLE = [FUTURE, PAST, "1899-12-30T00:00:00Z", "9999-12-31T23:59:59Z"]


class Shop:
    """Captured rows, routed as ingest does; every change of a row is later than the one before."""

    def __init__(self) -> None:
        self._router = Router(MAPPING, TOPICS)
        self._changes = 0
        self.pipeline = Pipeline(MAPPING)
        self.take("order_status", LOOKUP)
        self.take("customer_detail", {"cd_id": 7})
        self.take("customer_contact", {"cc_id": 70, "cc_customer_id": 7, "cc_email": ANN})

    def take(self, table: str, columns: dict[str, Any]) -> "Shop":
        self._changes += 1
        key = next(iter(SAMPLES[table]))
        happening = event(table, None, columns, op="c")
        happening.key[key] = columns.get(key, SAMPLES[table][key])
        placed = type(happening)(
            table, "c", happening.key, None, happening.after, b"\0\0" + self._changes.to_bytes(10), BORN, False
        )
        routed = list(self._router.route(placed, BORN))
        self.pipeline.pump([one for one in routed if one[0] in self.pipeline.queues])
        return self

    def order(self, number: int, at: str, *, credit: bool = False) -> "Shop":
        self.take("order_header", {"oh_id": number, "oh_datetime": at, "oh_sot_id": 4 if credit else 1})
        return self.take("order_header_total", {"oht_id": number, "oht_oh_id": number})

    @property
    def fields(self) -> dict[str, Any]:
        return self.pipeline.contact(ANN)

    @property
    def despatched(self) -> int | None:
        return self.pipeline.desired[ANN][1].despatched


@pytest.mark.parametrize("at", IMPOSSIBLE)
def test_an_order_of_such_a_date_excludes_nobody_and_does_not_count(at: str) -> None:
    shop = Shop().order(5, NOW).order(6, at)
    assert (shop.fields["OW_ORDER_COUNT"], shop.fields["OW_LAST_ORDER"]) == (1, NOW)
    assert shop.fields["OW_FIRST_ORDER"] == NOW
    assert shop.fields["OW_EXCLUDE_UNTIL"] == "2026-04-04T08:41:12Z"
    assert shop.pipeline.orders.held.counts() == {"order_without_date": 1}
    shop.order(6, "2026-03-06T00:00:00Z")
    assert (shop.fields["OW_ORDER_COUNT"], shop.fields["OW_LAST_ORDER"]) == (2, "2026-03-06T00:00:00Z")


@pytest.mark.parametrize("at", IMPOSSIBLE)
def test_an_order_whose_date_becomes_impossible_keeps_the_one_that_it_had(at: str) -> None:
    shop = Shop().order(5, NOW).order(5, at)
    assert (shop.fields["OW_ORDER_COUNT"], shop.fields["OW_EXCLUDE_UNTIL"]) == (1, "2026-04-04T08:41:12Z")


@pytest.mark.parametrize("at", IMPOSSIBLE)
def test_nobody_is_a_recent_buyer_by_a_despatch_of_such_a_date(at: str) -> None:
    shop = Shop().order(5, NOW).take("delivery_header", {"dh_id": 1, "dh_oh_id": 5, "dh_datetime": at})
    assert (shop.fields["OW_LAST_DESPATCH"], shop.despatched) == (None, None)
    shop.take("delivery_header", {"dh_id": 2, "dh_oh_id": 5, "dh_datetime": NOW})
    assert shop.fields["OW_LAST_DESPATCH"] == NOW


@pytest.mark.parametrize("at", IMPOSSIBLE)
def test_a_credit_note_of_such_a_date_has_no_follow_up_and_refunds_nothing(at: str) -> None:
    shop = Shop().order(5, NOW).order(6, at, credit=True)
    assert not shop.pipeline.follow_ups
    assert (shop.fields["OW_REFUND_COUNT"], shop.fields["OW_REFUND_TOTAL"]) == (0, 0.0)
    shop.order(6, NOW, credit=True)
    assert shop.fields["OW_REFUND_COUNT"] == 1
    assert shop.pipeline.follow_ups[6].keys() == {ANN}

"""The verdict on a contact that was compared with Dotdigital now, without a broker and without workers."""

import json
from typing import Any

import pytest

from streams.dispatch.outbox.tasks import Family, task_of
from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_state import ContactDeliveryState, set_desired
from streams.dotdigital.contact_calls import Contact, Profile
from streams.messages.deliveries import ContactCreated
from streams.operations.state_queries import DeliveryReply
from streams.operations.story_deliveries import verdict
from streams.operations.story_material import Material
from tests.agents.pipeline import ANN, MAPPING
from tests.operations.test_story import AT, shop


def taken() -> tuple[ContactDeliveryState, dict[str, Any]]:
    """Ann's contact as Dotdigital took it, and the values of its data fields."""
    position, wanted = shop().desired[ANN]
    row = ContactDeliveryState()
    set_desired(row, wanted, position)
    assert row.hash is not None and row.fields is not None
    task = task_of(Family.CONTACT, ANN)
    apply_result(row, ContactCreated(at=AT, task=task, digest=row.hash, contact=77, created_as="subscribed"))
    return row, json.loads(row.fields)


def material(row: ContactDeliveryState, live: Contact | None, *, looked: bool = True) -> Material:
    return Material(ANN, AT, MAPPING, "sqlserver", None, DeliveryReply(row, {}, {}, {}), live=live, looked=looked)


def shows(fields: dict[str, Any]) -> Contact:
    return Contact(77, "subscribed", ANN, profile=Profile(fields=fields))


def test_a_contact_that_dotdigital_has_as_we_sent_it_is_right() -> None:
    row, fields = taken()
    assert verdict(material(row, shows(fields))).level == "right"
    assert verdict(material(row, None, looked=False)).level == "right"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"OW_ORDER_COUNT": "99"}, "OW_ORDER_COUNT"),
        (None, "no such contact"),
    ],
)
def test_a_contact_that_dotdigital_has_otherwise_now_is_not_called_right(changes: dict[str, Any] | None, detail: str) -> None:
    row, fields = taken()
    found = verdict(material(row, None if changes is None else shows(fields | changes)))
    assert (found.level, found.headline) == ("attention", "Dotdigital has something else now")
    assert detail in found.detail

"""What became of every attempt to deliver: the records of the topic ``deliveries``."""

from typing import Literal, TypeAlias

import msgspec

Created: TypeAlias = Literal["no", "unsubscribed", "subscribed"]
"""Whether we created the contact, and with which status."""
Outcome: TypeAlias = Literal[
    "created",
    "updated",
    "cleared",
    "deleted",
    "absent",
    "left",
    "erased",
    "stored",
    "removed",
    "told",
    "parked",
    "noted",
    "withdrawn",
    "vanished",
    "importing",
    "imported",
    "resumed",
]


class ImportedTask(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an import holds of a task.

    ``hash`` is the digest of its content. ``joined``: the contact is put on the list. ``contact`` is whom a record goes to.
    ``created`` is the status with which it creates the contact, ``before`` that with which an earlier call of ours may have.
    """

    task: str
    hash: str
    joined: bool = False
    contact: int | None = None
    created: Created = "no"
    attempted_before: Created = "no"


class Delivery(msgspec.Struct, gc=False, omit_defaults=True):
    """One answer of Dotdigital, as it stands in the ``deliveries`` topic (JSON).

    ``task`` is what was sent (:mod:`streams.dispatch.outbox.tasks`), or the id of an import that holds ``items``. ``by`` is the
    import whose report it is from.
    ``noted`` and ``importing`` are written before the answer: what must be known if it is lost; ``withdrawn`` takes back that a
    creation was noted, for it was not made, and ``created`` is how an earlier one may have been; ``resumed`` stands behind all
    that was answered before a worker took over. ``status`` and ``updated`` (UTC epoch seconds) are Dotdigital's, unless they
    only show what we said ourselves. ``list_refused_at``: the despatch with which the list did not take the contact.
    """

    task: str
    outcome: Outcome
    hash: str
    at: int
    lane: int
    code: str | None = None
    contact: int | None = None
    created: Created = "no"
    opt_out_sent: bool = False
    status: str | None = None
    updated: int = 0
    listed: bool | None = None
    tries: int = 0
    items: list[ImportedTask] = []
    by: str = ""
    list_refused_at: int | None = None


def content_digest(delivery: Delivery) -> bytes:
    """The digest of the content that was answered."""
    return bytes.fromhex(delivery.hash)

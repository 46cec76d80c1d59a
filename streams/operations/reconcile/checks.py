"""Looks at suspects one by one: a difference is one only if the row was at rest before and after Dotdigital was read.

A call is made only for a row that says so, and its outcome is in the row before the row is at rest again. So a row that is the
same before and after, and at rest, was neither sent nor changed in between, and what Dotdigital showed meanwhile is what there
is of it. Anything else is looked at again later.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streams.dispatch.outbox.drift import newest_event
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import FollowUpDeliveryState, RecordDeliveryState
from streams.dotdigital.client import Api
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.errors import MissingError
from streams.dotdigital.insight import StoredRecord
from streams.operations.reconcile.delivered import Delivered, row_of
from streams.operations.reconcile.drift import (
    Account,
    Difference,
    Moment,
    of_contact,
    of_follow_up,
    of_item,
    of_order,
    settled,
)
from streams.operations.reconcile.pages import Places
from streams.operations.state_queries import StoredTask

_AT_ONCE = 2
"""Calls under way at a time: the connections are the senders'."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One suspect: what differs, and what putting that right needs. ``sure`` False: it was not at rest.

    ``event``: offset of the newest delivery event of its row. ``contact``: as Dotdigital shows it.
    """

    task: str
    sure: bool
    differences: tuple[Difference, ...] = ()
    event: int = -1
    contact: Contact | None = None


@dataclass(frozen=True, slots=True)
class _Shown:
    """What Dotdigital shows of one task. ``unknown``: it has no place to be at, for its contact is not there."""

    contact: Contact | None = None
    record: StoredRecord | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Checks:
    """Looks at tasks over ``api``."""

    api: Api
    delivered: Delivered
    account: Account
    places: Places

    async def check(self, tasks: Sequence[str], moment: Moment) -> list[Checked]:
        """What differs in each of ``tasks``.

        Raises:
            DotdigitalError: a call failed; it may be repeated.
            StateUnavailableError: rows cannot be read now; it may be repeated.
        """
        wanted = {*tasks, *(task_of(Family.CONTACT, owner_of(task)) for task in tasks if family_of(task) is Family.FOLLOW_UP)}
        before = await self.delivered.rows(sorted(wanted))
        free = asyncio.Semaphore(_AT_ONCE)

        async def read(task: str) -> _Shown:
            async with free:
                return await self._read(task)

        resting = [task for task in tasks if _rests(task, before[task])]
        shown = dict(zip(resting, await asyncio.gather(*map(read, resting)), strict=True))
        after = await self.delivered.rows(sorted(wanted))
        same = {task for task in resting if before[task] == after[task]}
        return [
            self._compare(task, after, shown[task], moment) if task in same else Checked(task, sure=False) for task in tasks
        ]

    async def _read(self, task: str) -> _Shown:
        match family_of(task):
            case Family.CONTACT:
                return _Shown(await self.api.find(owner_of(task)))
            case Family.CATALOGUE if self.places.catalogue is not None:
                return _Shown(record=await self.api.get_record(self.places.catalogue, owner_of(task)))
            case Family.RECORD if self.places.orders is not None:
                try:
                    return _Shown(record=await self.api.get_record(self.places.orders, part_of(task), owner_of(task)))
                except MissingError:
                    # Without the contact there is no record; that it is gone is its own difference.
                    return _Shown(unknown=True)
        return _Shown(unknown=True)

    def _compare(self, task: str, rows: dict[str, StoredTask], shown: _Shown, moment: Moment) -> Checked:
        row: Any = row_of(task, rows[task])
        content = None if shown.record is None else shown.record.content
        match row:
            case ContactDeliveryState():
                found = of_contact(task, row, shown.contact, self.account, moment)
            case FollowUpDeliveryState():
                contact = task_of(Family.CONTACT, owner_of(task))
                found = of_follow_up(task, row, row_of(contact, rows[contact]), self.account, moment)
            case RecordDeliveryState() if family_of(task) is Family.CATALOGUE:
                found = of_item(task, row, content)
            case RecordDeliveryState() if not shown.unknown:
                found = of_order(task, row, content, self.account)
            case _:
                return Checked(task, sure=True)
        return Checked(task, True, tuple(found), newest_event(row), shown.contact)


def _rests(task: str, stored: StoredTask) -> bool:
    row = row_of(task, stored)
    # A follow-up that waits for too long is one that does not rest.
    return row is None or isinstance(row, FollowUpDeliveryState) or settled(row, waits=stored.waits)

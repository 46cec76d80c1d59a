"""Reads the whole account page by page, and finds what looks different: the suspects, which are then looked at one by one.

Pages and rows are of different moments, so nothing is certain here. A record on a page that is not as delivered is a
suspect, and so is one that was delivered and was on no page. A page holds 1,000, five times less than Dotdigital allows: it is
read by a worker that has urgent things to do beside it.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import FollowUpDeliveryState, RecordDeliveryState
from streams.dotdigital.client import Api
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.errors import DataError
from streams.dotdigital.insight import RecordPage, Scope, StoredRecord
from streams.operations.reconcile.delivered import Delivered, row_of
from streams.operations.reconcile.drift import (
    Account,
    Moment,
    Others,
    is_list_place_of_others,
    of_contact,
    of_follow_up,
    of_item,
    of_order,
    settled,
)
from streams.operations.reconcile.findings import ITEMS, ORDERS, Findings
from streams.operations.state_queries import StoredTask

PAGE = 1_000
_DONE = "."
"""The progress of a listing that has ended; no marker is that."""


@dataclass(frozen=True, slots=True)
class Places:
    """What of the account is read: names of our data fields, and the collections, None where the site has none."""

    fields: tuple[str, ...]
    orders: str | None
    catalogue: str | None


@dataclass(frozen=True, slots=True)
class AccountPages:
    """Reads for one run; ``moment`` says when it is."""

    api: Api
    delivered: Delivered
    findings: Findings
    account: Account
    places: Places
    partitions: int

    async def contacts(self, moment: Moment) -> AsyncIterator[None]:
        """Read all contacts, page by page; a run that goes on begins where it was.

        Raises:
            DotdigitalError: a call failed; it may be repeated.
            StateUnavailableError: rows cannot be read now; it may be repeated.
        """
        if (marker := self._begins("contacts")) == _DONE:
            return
        try:
            async for page in self.api.contacts_since(None, fields=self.places.fields, marker=marker or None, limit=PAGE):
                rows = await self.delivered.rows(task_of(Family.CONTACT, contact.email) for contact in page.contacts)
                with self.findings.step("contacts", page.marker or _DONE):
                    self.findings.add_contacts((contact.contact_id, contact.email) for contact in page.contacts)
                    for contact in page.contacts:
                        self._judge_contact(contact, rows, moment)
                yield
        except DataError:
            self._begin_again("contacts", marker)
            raise

    def _judge_contact(self, contact: Contact, rows: dict[str, StoredTask], moment: Moment) -> None:
        task = task_of(Family.CONTACT, contact.email)
        row: ContactDeliveryState | None = row_of(task, rows[task])
        if row is None or row.hash is None:
            self.findings.count_others([Others.CONTACTS])
        elif settled(row, waits=rows[task].waits):
            if any(of_contact(task, row, contact, self.account, moment)):
                self.findings.add_suspects([task])
            if is_list_place_of_others(row, contact, self.account, moment):
                self.findings.count_others([Others.LIST_PLACES])

    async def orders(self) -> AsyncIterator[None]:
        """Read all records of orders, as :meth:`contacts`."""
        async for page in self._records(ORDERS, self.places.orders, "contact"):
            emails = self.findings.emails({record.contact_id for record in page.records if record.contact_id is not None})
            # Those of contacts that came since are not known here, and are no suspects.
            owned = {
                task_of(Family.RECORD, emails[record.contact_id], record.key): record
                for record in page.records
                if record.contact_id in emails
            }
            await self._judge_records(ORDERS, page, owned)
            yield

    async def items(self) -> AsyncIterator[None]:
        """Read all catalogue records, as :meth:`contacts`."""
        async for page in self._records(ITEMS, self.places.catalogue, "account"):
            await self._judge_records(ITEMS, page, {task_of(Family.CATALOGUE, one.key): one for one in page.records})
            yield

    async def _records(self, place: str, collection: str | None, scope: Scope) -> AsyncIterator[RecordPage]:
        marker = self._begins(place)
        if collection is None or marker == _DONE:
            return
        try:
            async for page in self.api.records(collection, scope, marker=marker or None, limit=PAGE):
                yield page
        except DataError:
            self._begin_again(place, marker)
            raise

    async def _judge_records(self, place: str, page: RecordPage, found: dict[str, StoredRecord]) -> None:
        rows = await self.delivered.rows(found)
        kind = Others.ORDERS if place == ORDERS else Others.ITEMS
        suspects, others = [], []
        for task, record in found.items():
            row: RecordDeliveryState | None = row_of(task, rows[task])
            if row is None or row.hash is None:
                others.append(kind)
            elif settled(row, waits=rows[task].waits) and any(self._of_record(task, row, record)):
                suspects.append(task)
        with self.findings.step(place, page.marker or _DONE):
            self.findings.add_records(place, ((record.key, record.contact_id) for record in page.records))
            self.findings.add_suspects(suspects)
            self.findings.count_others(others)

    def _of_record(self, task: str, row: RecordDeliveryState, record: StoredRecord | None) -> Iterator[object]:
        content = None if record is None else record.content
        if family_of(task) is Family.CATALOGUE:
            return of_item(task, row, content)
        return of_order(task, row, content, self.account)

    async def ours(self, moment: Moment) -> AsyncIterator[None]:
        """Go through what was delivered, for what was on no page; as :meth:`contacts`."""
        families = [Family.CONTACT, Family.FOLLOW_UP]
        families += [Family.RECORD] if self.places.orders is not None else []
        families += [Family.CATALOGUE] if self.places.catalogue is not None else []
        for partition in range(self.partitions):
            for family in families:
                name = f"ours {partition} {family}"
                if (after := self._begins(name)) == _DONE:
                    continue
                async for rows in self.delivered.slices(partition, family, after):
                    suspects = [task for task, stored in rows.items() if await self._is_absent(task, stored, moment)]
                    with self.findings.step(name, next(reversed(rows), after)):
                        self.findings.add_suspects(suspects)
                    yield
                with self.findings.step(name, _DONE):
                    pass

    async def _is_absent(self, task: str, stored: StoredTask, moment: Moment) -> bool:
        row, findings = row_of(task, stored), self.findings
        if isinstance(row, FollowUpDeliveryState):
            return row.dirty and any([one async for one in self._follow_up(task, row, moment)])
        if row is None or not settled(row, waits=stored.waits):
            return False
        if isinstance(row, ContactDeliveryState):
            return not findings.shows_contact(owner_of(task)) and any(of_contact(task, row, None, self.account, moment))
        if family_of(task) is Family.CATALOGUE:
            return not findings.shows_record(ITEMS, owner_of(task)) and any(of_item(task, row, None))
        email = owner_of(task)
        shown = findings.shows_record(ORDERS, part_of(task), email) or not findings.shows_contact(email)
        return not shown and any(of_order(task, row, None, self.account))

    async def _follow_up(self, task: str, row: FollowUpDeliveryState, moment: Moment) -> AsyncIterator[object]:
        contact = task_of(Family.CONTACT, owner_of(task))
        found: ContactDeliveryState | None = row_of(contact, (await self.delivered.rows([contact]))[contact])
        for one in of_follow_up(task, row, found, self.account, moment):
            yield one

    def _begins(self, name: str) -> str:
        return self.findings.progress(name) or ""

    def _begin_again(self, name: str, marker: str) -> None:
        """Markers may expire; the next try begins at the first page."""
        if marker:
            with self.findings.step(name, ""):
                pass

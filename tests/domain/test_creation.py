"""Did we create this contact? The table of the record, and every order in which the facts can reach it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import msgspec
import pytest

from streams.domain import creation
from streams.domain.consent import UNSUBSCRIBED, Signal
from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_state import ContactDeliveryState, observe
from streams.domain.creation import NOT_OURS, Creation
from streams.domain.versioned import version_bytes
from streams.messages.changes import ContactObserved
from streams.messages.deliveries import (
    ContactCreated,
    ContactUpdated,
    CreatedAs,
    CreationAttempted,
    CreationWithdrawn,
    TaskEvent,
    TaskParked,
)

STATUSES: dict[str, CreatedAs | None] = {"-": None, "U": "unsubscribed", "S": "subscribed"}
RECORDS = {f"{a}/{b}": Creation(STATUSES[a], STATUSES[b]) for a, b in product(STATUSES, STATUSES)}
EVENTS: dict[str, Callable[[Creation], Creation]] = {
    "attempted U": lambda record: record.attempted("unsubscribed"),
    "attempted S": lambda record: record.attempted("subscribed"),
    "seen unsubscribed": lambda record: record.seen("unsubscribed"),
    "seen subscribed": lambda record: record.seen("Subscribed"),
    "seen suppressed": lambda record: record.seen("suppressed"),
    "seen bounced": lambda record: record.seen("hardBounced"),
    "settled": lambda record: record.settled(None),
    "gone": lambda record: NOT_OURS,
}


def table() -> tuple[list[str], dict[str, list[str]]]:
    """The table in the module's docstring: its columns, and the cells of each record."""
    assert creation.__doc__ is not None
    lines = [line for line in creation.__doc__.splitlines() if line.startswith("|") and "---" not in line]
    head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return head[1:], {row[0]: row[1:] for row in rows}


def test_the_table_is_what_happens() -> None:
    columns, rows = table()
    assert columns == list(EVENTS) and rows.keys() == RECORDS.keys()
    for name, cells in rows.items():
        for column, cell in zip(columns, cells, strict=True):
            after = EVENTS[column](RECORDS[name])
            assert (after.created_as, after.attempted_as) == (RECORDS[cell].created_as, RECORDS[cell].attempted_as), (
                f"{name} {column}"
            )


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
@pytest.mark.parametrize("status", STATUSES.values())
def test_events_that_carry_what_they_need(record: Creation, status: CreatedAs | None) -> None:
    assert Creation.confirmed(status) == Creation(status)
    assert record.withdrawn(status) == record.imported_over(status) == Creation(record.created_as, status)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
@pytest.mark.parametrize("status", ["unsubscribed", "subscribed", "suppressed", "pendingOptIn"])
@pytest.mark.parametrize("created_as", ["unsubscribed", "subscribed"])
def test_a_reading_counts_alike_before_and_after_the_attempt(record: Creation, status: str, created_as: CreatedAs) -> None:
    assert record.seen(status).attempted(created_as) == record.attempted(created_as).seen(status)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_an_event_that_is_read_twice_counts_once(record: Creation, event: str) -> None:
    once = EVENTS[event](record)
    assert EVENTS[event](once) == once


# Every order: one address, an account, the outbox that reads two topics, and a worker that imports, loses replies and dies.

TASK, CONTACT = "ea@example.com", 7
DEPTH = 9


@dataclass(frozen=True)
class Import:
    """An import: whether it ran, and what its report will say; a worker may never ask for it."""

    created_as: CreatedAs | None
    attempted_before: CreatedAs | None
    ran: bool = False
    created: bool = False


@dataclass(frozen=True)
class World:
    """``status`` of the contact in the account, None: there is none. ``ours``: an import of ours created it.

    ``asked`` is the import that the worker waits for, ``lost`` those that it gave up, which may still run. ``unread`` is what
    the worker remembers of attempts that the outbox has not read. ``signed_up``: the person has set the status.
    """

    row: bytes = b""
    status: CreatedAs | None = None
    ours: bool = False
    signed_up: bool = False
    deliveries: tuple[TaskEvent, ...] = ()
    readings: tuple[str, ...] = ()
    read: tuple[int, int] = (0, 0)
    asked: Import | None = None
    lost: tuple[Import, ...] = ()
    unread: CreatedAs | None = None
    imports: int = 0

    @property
    def record(self) -> ContactDeliveryState:
        return msgspec.msgpack.decode(self.row, type=ContactDeliveryState) if self.row else ContactDeliveryState(fields=b"{}")

    def with_row(self, row: ContactDeliveryState) -> "World":
        return replace(self, row=msgspec.msgpack.encode(row))

    @property
    def behind(self) -> tuple[bool, bool]:
        """Whether there is something to read: events, readings."""
        return self.read[0] < len(self.deliveries), self.read[1] < len(self.readings)


def consume_event(world: World) -> World:
    row = world.record
    apply_result(row, world.deliveries[world.read[0]])
    return replace(world.with_row(row), read=(world.read[0] + 1, world.read[1]))


def consume_reading(world: World) -> World:
    row, at = world.record, world.read[1]
    observe(row, ContactObserved(CONTACT, world.readings[at]), version_bytes(at + 1))
    return replace(world.with_row(row), read=(world.read[0], at + 1))


def start_import(world: World, *, refused: bool = False) -> World:
    """The worker imports the contact as its row has it: a new one is announced, one that is known goes by its id."""
    row = world.record
    before = row.creation if world.unread is None else row.creation.attempted(world.unread)
    created_as: CreatedAs | None = None if row.known else UNSUBSCRIBED
    started = Import(created_as, before.attempted_as)
    events: tuple[TaskEvent, ...] = ()
    if created_as is not None:
        events = (CreationAttempted(task=TASK, at=0, created_as=created_as),)
        if refused:
            events += (
                CreationWithdrawn(task=TASK, at=0, attempted_before=before.attempted_as),
                TaskParked(task=TASK, at=0, digest=b"other", code="x", tries=1),
            )
    world = replace(world, deliveries=world.deliveries + events, imports=world.imports + 1)
    return world if refused else replace(world, asked=started, unread=created_as or world.unread)


def run_import(world: World, which: Import) -> tuple[World, Import]:
    """Dotdigital works an import off: by id nobody is created."""
    creates = world.status is None and which.created_as is not None
    done = replace(which, ran=True, created=creates)
    return (replace(world, status=which.created_as, ours=True) if creates else world), done


def report(world: World, asked: Import) -> World:
    """The worker writes the report down; an import by id of a contact that is gone names nobody."""
    event: TaskEvent
    if asked.created and asked.created_as is not None:
        as_: CreatedAs = "subscribed" if world.record.consent.dotdigital.signal is Signal.IN else asked.created_as
        event = ContactCreated(task=TASK, at=0, digest=b"", contact=CONTACT, created_as=as_, import_id="i")
    else:
        event = ContactUpdated(
            task=TASK, at=0, digest=b"", contact=CONTACT, attempted_before=asked.attempted_before, import_id="i"
        )
    return replace(world, deliveries=(*world.deliveries, event), asked=None)


def import_steps(world: World) -> Iterator[World]:
    """What can become of imports that are under way."""
    if world.asked is not None:
        if world.asked.ran:
            yield report(world, world.asked)
        else:
            after, done = run_import(world, world.asked)
            yield replace(after, asked=done)
        # Its reply or its report never comes: it is given up, and may still run.
        yield replace(world, asked=None, lost=(*world.lost, world.asked))
    for at, one in enumerate(world.lost):
        if not one.ran:
            after, done = run_import(world, one)
            yield replace(after, lost=(*world.lost[:at], done, *world.lost[at + 1 :]))


def steps(world: World) -> Iterator[World]:
    """Everything that can happen next."""
    events, readings = world.behind
    if events:
        yield consume_event(world)
    if readings:
        yield consume_reading(world)
    if world.status is not None and len(world.readings) < 3:
        yield replace(world, readings=(*world.readings, world.status))
    if world.asked is None and world.imports < 3:
        yield start_import(world)
        yield start_import(world, refused=True)
    yield from import_steps(world)
    if world.status != "subscribed":
        yield replace(world, status="subscribed", signed_up=True)
    # A takeover: the next worker reads everything to the fence, and some of it again; it finds the import in its state.
    again = replace(world, read=(max(0, world.read[0] - 2), world.read[1]), unread=None)
    while again.behind[0]:
        again = consume_event(again)
    yield again


def settled(world: World) -> World:
    """Everything was read, and the contact once more."""
    if world.status is not None:
        world = replace(world, readings=(*world.readings, world.status))
    while any(world.behind):
        world = consume_event(world) if world.behind[0] else consume_reading(world)
    return world


def test_no_order_of_events_loses_or_invents_that_we_created_a_contact() -> None:
    seen, edge = {World()}, {World()}
    for _ in range(DEPTH):
        edge = {after for world in edge for after in steps(world)} - seen
        seen |= edge
    checked = 0
    for world in seen:
        if world.status is None:
            continue
        row = settled(world).record
        ours = row.creation.explaining(world.status)
        if world.ours and not world.signed_up:
            assert ours == UNSUBSCRIBED, f"we created it, and forgot: {world}"
            checked += 1
        elif not world.ours:
            assert ours is None, f"somebody signed up, and we take them for ours: {world}"
            checked += 1
    assert len(seen) > 10_000 and checked > 1_000

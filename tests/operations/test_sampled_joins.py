"""A sample of persons, worked out in this process: the same persons every time, each as if everybody were worked out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest

from streams.capture.envelope import RowEvent, decode
from streams.capture.rows import Customer
from streams.core.clock import ManualClock
from streams.dispatch.outbox.tasks import Family, family_of, owner_of
from streams.domain.contact_state import ContactDeliveryState
from streams.ingest.router import Routed, Router
from streams.messages.changes import Change
from streams.messages.kinds import CustomerRowChange, HeaderRowChange
from streams.messages.topics import Topics
from streams.operations.sampled_joins import SampledJoins
from streams.operations.sampled_persons import SampledPersons
from streams.settings import Settings
from tests.testkit.oracle.test_oracle_pipeline import shop, shop_site

Rows: TypeAlias = dict[str, tuple[Any, ...]]

KEY = b"a key"
SITE = shop_site(1)
SETTINGS = Settings()
TOPICS = Topics.of(SETTINGS.app_id)


@pytest.fixture(scope="module")
def routed() -> list[Routed]:
    """What ingest would emit for all rows of a simulated shop, in the order of the log."""
    router, found = Router(SITE, TOPICS), list[Routed]()
    for record in shop(SITE, 1).events():
        if record.value is not None:
            event = decode(record.key, record.value, SITE.source.epoch)
            found += router.route(event, record.ts_ms) if isinstance(event, RowEvent) else ()
    return found


@contextmanager
def joins(directory: Path) -> Iterator[SampledJoins]:
    directory.mkdir()
    work = SampledJoins(SETTINGS, SITE, directory, ManualClock())
    try:
        yield work
    finally:
        work.close()


def sample(routed: list[Routed], most: int) -> SampledPersons:
    persons = SampledPersons(most, KEY, TOPICS)
    passes: tuple[Callable[[Change], None], ...] = (persons.find_person, persons.find_order, persons.find_stranger)
    for number, find in enumerate(passes):
        for _, change in routed:
            find(change)
        if number == 0:
            persons.choose()
    return persons


def wanted(routed: list[Routed], persons: SampledPersons, directory: Path) -> Rows:
    """What the joins want of the sample's persons, and of products."""
    with joins(directory) as work:
        for number, (topic, change) in enumerate(routed):
            if persons.wants(topic, change):
                work.feed(topic, change)
            if number % 500 == 0:
                work.work()
        work.work()
        assert not work.failed
        rows = work.desired
    return {
        task: (row.fields, row.despatched, row.hash is None, row.consent.erp.signal)
        if isinstance(row, ContactDeliveryState)
        else (getattr(row, "content", None), getattr(row, "desired", None))
        for task, row in rows.items()
        if family_of(task) is Family.CATALOGUE or owner_of(task) in persons.addresses
    }


def test_a_sampled_person_is_as_if_everybody_were_worked_out(routed: list[Routed], tmp_path: Path) -> None:
    everybody, some = sample(routed, 100_000), sample(routed, 12)
    assert (everybody.factor, len(some.addresses)) == (1.0, 12)
    assert some.addresses < everybody.addresses
    assert sum(some.wants(*one) for one in routed) < len(routed)
    whole = wanted(routed, everybody, tmp_path / "whole")
    part = wanted(routed, some, tmp_path / "part")
    assert {family_of(task) for task in part} >= {Family.CONTACT, Family.RECORD, Family.CATALOGUE}
    assert part == {
        task: row for task, row in whole.items() if family_of(task) is Family.CATALOGUE or owner_of(task) in some.addresses
    }


def customers(addresses: list[str]) -> list[Change]:
    return [CustomerRowChange(f"c{n}", n, b"", 1, 0, Customer(f"A{n}", False, (one,))) for n, one in enumerate(addresses)]


def test_the_same_persons_are_sampled_in_whatever_order_they_come_and_their_number_is_known() -> None:
    addresses = [f"person{number}@example.com" for number in range(20_000)]
    found = set[frozenset[str]]()
    for seed in range(3):
        Random(seed).shuffle(addresses)
        persons = SampledPersons(2_000, KEY, TOPICS)
        for change in [*customers(addresses), *customers(addresses[:50])]:
            persons.find_person(change)
        found.add(frozenset(persons.addresses))
        assert len(persons.addresses) == 2_000
        assert persons.factor == pytest.approx(10, rel=0.1)
    assert len(found) == 1


def test_a_change_that_no_stage_can_apply_is_counted_and_takes_no_other_along(tmp_path: Path) -> None:
    (good,) = customers(["ann@example.com"])
    foreign = HeaderRowChange("7", 7, b"", 1, 0, None)
    with joins(tmp_path / "state") as work:
        work.feed(TOPICS.buyers, foreign)
        work.feed(TOPICS.buyers, good)
        work.work()
        assert work.failed == {"RecordError": 1}
        assert [*work.desired] == ["eann@example.com"]

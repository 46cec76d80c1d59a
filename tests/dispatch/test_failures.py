"""Every documented answer of Dotdigital, given to one delivery for a day: what is parked, and how often it is tried. No I/O."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import cast

import httpx
import pytest

from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.tasks import Family, Work, task_of
from streams.dispatch.senders.failures import FailurePolicy
from streams.dotdigital.codes import CODES, ErrorClass, explain
from streams.dotdigital.error_mapping import error_from_response
from streams.dotdigital.errors import (
    ConnectivityError,
    CredentialsError,
    DataError,
    DotdigitalError,
    NotSentError,
    TransientError,
)
from streams.dotdigital.tiers import Operation
from streams.messages.deliveries import DeliveryEvent, TaskParked
from streams.observability.metrics import Metrics

DAY_MS = 86_400_000
KEY = task_of(Family.RECORD, "ann@example.com", "A1")


class Log:
    """Remembers what was written down."""

    def __init__(self) -> None:
        self.events: list[DeliveryEvent] = []

    async def write(self, partition: int, event: DeliveryEvent) -> None:
        self.events.append(event)


class Desk:
    """One delivery whose every call gets the same answer; ``calls`` are the times at which it was made."""

    def __init__(self, error: DotdigitalError, *, tasks: int = 1, overtakes: bool = False) -> None:
        self.clock, self.log, self.error = ManualClock(), Log(), error
        self.queue = DeliveryQueue(self.clock)
        log = cast(DeliveryLog, self.log)
        self.failures = FailurePolicy(self.queue, log, self.clock, Metrics(), hash_key=b"k", rng=Random(1))
        self.calls: list[int] = []
        for number in range(tasks):
            due = self.clock.now_ms()
            self.queue.put(DeliveryTask(f"{KEY}{number}", 0, due, Lane.LIVE, Work.RECORD, overtakes=overtakes))

    def play(self, milliseconds: int) -> None:
        """Let time pass, and every task that is given out fail."""
        asyncio.run(self._play(self.clock.now_ms() + milliseconds))

    async def _play(self, until: int) -> None:
        began = self.clock.now_ms()
        while self.clock.now_ms() < until and +self.queue.counts():
            tasks = list(self._given_out())
            for task in tasks:
                self.calls.append(self.clock.now_ms())
                if isinstance(self.error, DataError | TransientError):
                    written = len(self.log.events)
                    await self.failures.rejected(task, b"digest", self.error)
                    if len(self.log.events) > written:
                        self.queue.finish(task.key)
                else:
                    self.failures.retry(self.error, task.work.area, task)
            # Far below every wait that is allowed after the first minutes.
            self.clock.advance(1 if self.clock.now_ms() < began + 600_000 else 10)

    def _given_out(self) -> Iterator[DeliveryTask]:
        yield from self.queue.take_due((Lane.LIVE, Work.RECORD), 1)
        yield from self.queue.take_due((Lane.LIVE, Work.RECORD_ALONE), 1)

    @property
    def parked(self) -> list[TaskParked]:
        return [event for event in self.log.events if isinstance(event, TaskParked)]


def error_of(code: str) -> DotdigitalError:
    body = {"message": f"Error: {code}"} if code.startswith("ERROR_") else {"errorCode": code, "description": code}
    if ":" not in code and not code.startswith("ERROR_"):
        body = {"errorCode": "insightData:badJson", "description": code}
    return error_from_response(Operation.PUT_RECORD, httpx.Response(400, json=body))


@pytest.mark.parametrize("code", sorted(CODES))
def test_no_answer_is_repeated_at_full_speed_and_what_is_about_the_record_is_parked_within_a_day(code: str) -> None:
    desk = Desk(error_of(code))
    desk.play(2 * 3600_000)
    assert len(desk.calls) <= 130, "once a minute, and a little more in the beginning"
    desk.calls.clear()
    desk.play(DAY_MS)
    verdict = explain(code).error_class
    waits_for_the_api = verdict in (ErrorClass.THROTTLED, ErrorClass.ACCESS, ErrorClass.UNAVAILABLE)
    assert bool(desk.log.events) is not waits_for_the_api, "parked, or the contact is looked for"
    assert len(desk.calls) <= (DAY_MS // 60_000 + 10 if waits_for_the_api else 30)


def test_a_clash_of_keys_is_parked_at_once() -> None:
    desk = Desk(error_of("KeyExistingForDifferentContact"), tasks=150)
    desk.play(600_000)
    assert len(desk.calls) == 150
    assert {event.code for event in desk.parked} == {"KeyExistingForDifferentContact"}


def test_what_may_work_later_backs_off_to_an_hour_and_is_parked_with_its_code_and_tries() -> None:
    desk = Desk(error_of("ERROR_UNKNOWN"))
    desk.play(2 * DAY_MS)
    (parked,) = desk.parked
    assert parked.code == "ERROR_UNKNOWN"
    assert parked.tries == len(desk.calls) <= 30
    gaps = [later - earlier for earlier, later in zip(desk.calls, desk.calls[1:], strict=False)]
    assert max(gaps) <= 3_610_000
    assert max(gaps[-5:]) > 600_000


@pytest.mark.parametrize(
    "error",
    [
        NotSentError("put record", "connect"),
        ConnectivityError("put record", "http-503"),
        CredentialsError("put record"),
        error_of("ERROR_FEATURENOTACTIVE"),
    ],
)
def test_what_is_no_answer_about_the_record_parks_nothing_and_one_probe_tries(error: DotdigitalError) -> None:
    desk = Desk(error, tasks=100)
    desk.play(3_600_000)
    began = len(desk.calls)
    desk.play(DAY_MS)
    assert desk.parked == []
    assert len(desk.calls) - began <= DAY_MS // 60_000 + 1


def test_the_first_success_makes_all_of_it_due() -> None:
    desk = Desk(ConnectivityError("put record", "http-503"), tasks=100)
    desk.play(3_600_000)
    desk.failures.succeeded(Work.RECORD.area)
    assert len(desk.queue.take_due((Lane.LIVE, Work.RECORD), 1_000)) == 100


def test_an_area_does_not_hold_the_others_but_a_lost_connection_holds_all() -> None:
    desk = Desk(ConnectivityError("put record", "http-503"), tasks=10)
    desk.play(60_000)
    contacts = (Lane.LIVE, Work.NEW)
    assert (
        desk.queue.blockers.opens_at((Lane.LIVE, Work.RECORD)) > desk.clock.now_ms() >= desk.queue.blockers.opens_at(contacts)
    )
    desk = Desk(NotSentError("put record", "connect"), tasks=10)
    desk.play(60_000)
    assert desk.queue.blockers.opens_at(contacts) > desk.clock.now_ms()

"""The bench of delivery measures what it says: traces repeat, the ledger knows what a call delivers, and baselines deliver."""

from pathlib import Path

import orjson
import pytest

from bench.delivery.baselines import EveryQuarter, OneByOne
from bench.delivery.command import CONTENDERS
from streams.core.lanes import Lane
from streams.dispatch.policies import debounce_policy
from streams.domain.debounce import Debounce
from streams.mapping import load_mapping
from streams.messages.changes import Change, DesiredContact
from streams.messages.kinds import DesiredContactChange
from testkit.sandbox import SandboxApp
from testkit.virtual import event_loop
from testkit.virtual.account import Terms, open_account
from testkit.virtual.backlog import Backlog
from testkit.virtual.event_loop import VirtualClock
from testkit.virtual.measures import best, measure, merged, percentile
from testkit.virtual.pipeline import SETTINGS
from testkit.virtual.trace import CONTACT, START_MS
from testkit.virtual.traces import PLOTS, Plot, Scale
from testkit.virtual.wire import ParsedCall, canonical, nothing_new, read
from testkit.virtual.world import Played, World

EMAIL = "ann@example.com"
SMALL = Scale(orders=20, backfill=200)
A, B, C = (orjson.dumps({"FIRSTNAME": name}) for name in "ABC")


def wanted(fields: bytes, opted: bool | None = None, lane: Lane = Lane.LIVE) -> Change:
    return DesiredContactChange(EMAIL, 0, b"", lane, 0, DesiredContact(fields, opted, ()))


def said(fields: bytes, *, refuses: bool = False) -> ParsedCall:
    return ParsedCall((CONTACT, EMAIL), canonical(fields), refuses)


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.name)
def test_a_trace_repeats_itself_and_runs_in_time(plot: Plot) -> None:
    made = [plot.trace(load_mapping(), seed, SMALL) for seed in (1, 1, 2)]
    assert made[0].checksum() == made[1].checksum() != made[2].checksum()
    times = [event.at for event in made[0].events()]
    assert times and times == sorted(times)


def test_a_call_delivers_every_change_up_to_its_content() -> None:
    ledger = Backlog({}, Debounce())
    for at, fields in enumerate((A, B, C)):
        assert ledger.wanted(wanted(fields), at)
    ledger.delivered(said(B), 100, refused=False)
    assert list(ledger.carried.delays[Lane.LIVE]) == [100, 99] and ledger.outstanding == 1
    ledger.delivered(said(A), 200, refused=False)
    assert ledger.outstanding == 1, "older content delivers nothing newer"
    ledger.delivered(said(C), 300, refused=False)
    assert ledger.outstanding == 0 and ledger.idle.is_set()


def test_what_is_changed_back_before_it_was_sent_needs_no_call() -> None:
    ledger = Backlog({}, Debounce())
    ledger.wanted(wanted(A), 0)
    ledger.delivered(said(A), 1, refused=False)
    ledger.wanted(wanted(B), 2)
    assert ledger.outstanding == 1
    ledger.wanted(wanted(A), 3)
    assert ledger.outstanding == 0 and ledger.idle.is_set()
    ledger.delivered(said(B), 4, refused=False)
    assert ledger.outstanding == 1, "the call was under way already"
    ledger.delivered(said(A), 5, refused=False)
    assert ledger.outstanding == 0


def test_the_same_content_again_is_no_change() -> None:
    ledger = Backlog({}, Debounce())
    assert ledger.wanted(wanted(A), 0)
    assert not ledger.wanted(wanted(A), 1)


def test_an_opt_out_is_delivered_when_it_is_said() -> None:
    ledger = Backlog({}, Debounce())
    ledger.wanted(wanted(A, opted=True), 0)
    ledger.delivered(said(A), 1, refused=False)
    assert ledger.wanted(wanted(A, opted=False), 2)
    ledger.delivered(said(A), 3, refused=False)
    assert ledger.outstanding == 1
    ledger.delivered(said(A, refuses=True), 4, refused=True)
    assert ledger.outstanding == 0


def box() -> SandboxApp:
    async def main(clock: VirtualClock) -> SandboxApp:
        return open_account(load_mapping(), Terms(), clock)

    return event_loop.run(main)


def test_a_call_that_says_nothing_new_is_known() -> None:
    store = box().store
    body = orjson.dumps({"identifiers": {"email": EMAIL}, "dataFields": {"FIRSTNAME": "A", "LASTNAME": None}})
    (carried,) = read("PATCH", f"/contacts/v3/email/{EMAIL}", body, store)
    assert not nothing_new(carried, store), "there is no such contact yet"
    made = store.create({"email": EMAIL})
    assert not nothing_new(carried, store)
    made.data["FIRSTNAME"] = "A"
    assert nothing_new(carried, store)
    assert read("PATCH", f"/contacts/v3/contactId/{made.id}", body, store) == [carried]
    unsubscribe = orjson.dumps({"channelProperties": {"email": {"status": "unsubscribed"}}})
    assert not nothing_new(read("PATCH", f"/contacts/v3/contactId/{made.id}", unsubscribe, store)[0], store)


def test_spans_and_shares() -> None:
    assert merged([(5, 9), (1, 3), (3, 4), (8, 12)]) == [(1, 4), (5, 12)]
    assert percentile([4, 1, 3, 2], 0.5) == 2 and percentile(range(1, 101), 0.99) == 99
    assert percentile([], 0.5) is None


@pytest.mark.parametrize("make", CONTENDERS.values(), ids=CONTENDERS)
def test_every_contender_delivers_a_trace(make: type[OneByOne | EveryQuarter], tmp_path: Path) -> None:
    mapping = load_mapping()
    trace = PLOTS[1].trace(mapping, 1, SMALL)

    async def main(clock: VirtualClock) -> Played:
        return await World(mapping, Terms(), debounce_policy(SETTINGS), clock, tmp_path).play(trace, make, patience=7200)

    played = event_loop.run(main)
    measures = measure(played, Terms())
    assert (measures.undelivered, measures.wrong, measures.throttled) == (0, 0, 0)
    assert measures.changes == sum(len(delays) for delays in played.carried.delays.values())
    least = best(trace, mapping, Terms(), debounce_policy(SETTINGS), SETTINGS.import_most)
    assert 0 < least.calls <= measures.changes
    assert all(call.at >= START_MS for call in played.calls)

"""The canary's end: its age is that of the newest one that came through, by partition."""

from streams.core.lanes import Lane
from streams.dispatch.outbox.canaries import Canaries
from streams.engine.stage import Record
from streams.messages.changes import HERE, pack
from streams.messages.kinds import CanaryChange
from tests.dispatch.outbox_harness import TOPICS, Outbox

NOW = 1_772_700_000_000


def test_its_age_grows_until_the_next_one_comes_through() -> None:
    canaries = Canaries()
    canaries.recovered(0, NOW)
    canaries.recovered(1, NOW)
    canaries.arrived(1, NOW + 60_000)
    assert dict(canaries.ages(NOW + 90_000)) == {0: 90.0, 1: 30.0}
    # One that was overtaken, and a source whose clock is ahead.
    canaries.arrived(1, NOW + 10_000)
    assert dict(canaries.ages(NOW + 50_000)) == {0: 50.0, 1: 0.0}
    canaries.revoked()
    assert dict(canaries.ages(NOW)) == {}


def test_it_ends_in_the_outbox_and_makes_nothing_to_deliver() -> None:
    outbox = Outbox()
    began = outbox.clock.now_ms() - 2_000
    outbox.feed(Record(TOPICS.desired, 0, None, pack([CanaryChange(HERE, 0, b"", Lane.LIVE, began, None)])))
    assert dict(outbox.handler.canaries.ages(outbox.clock.now_ms())) == {0: 2.0}
    assert outbox.rows.rows == {}

"""What a released version wrote, this one reads and continues; or its format number differs, and it refuses to start."""

import asyncio
from pathlib import Path

import orjson
import pytest

from streams.messages.site_setup import FORMATS
from testkit.oracle import compare, expectation
from testkit.simulate.calendar import USUAL_END
from tests.agents.memory import Rows
from tests.dispatch.outbox_harness import CONTACT, Outbox
from tests.upgrade.release import HERE, Shop, read

RELEASES = sorted(HERE.glob("release-*.gz"))


def test_there_is_one() -> None:
    assert RELEASES


@pytest.mark.parametrize("file", RELEASES, ids=[file.name for file in RELEASES])
def test_the_day_goes_on_from_what_a_release_wrote(file: Path) -> None:
    release = read(file)
    if release.formats != FORMATS:
        pytest.skip("another format: a worker refuses to start on it (tests/operations/test_start_checks.py)")
    assert min(map(len, release.state.values())) > 10
    assert any(release.waiting.values())
    site = release.site
    shop = Shop(site)
    shop.stages.continue_from(release)
    shop.play(release.events)
    shop.stages.pump()
    truth = orjson.loads(release.truth)
    expected = expectation(truth["tables"], site, at=USUAL_END, history=truth["history"])
    assert min(len(expected.contacts), len(expected.orders), len(expected.follow_ups)) > 1
    found = compare(expected, shop.account(USUAL_END), site, opted_in_ever=set(truth["opted_in_ever"]), preexisting=())
    assert found == []


@pytest.mark.parametrize("file", RELEASES, ids=[file.name for file in RELEASES])
def test_the_outbox_of_a_release_still_wants_what_it_wanted(file: Path) -> None:
    release = read(file)
    if release.formats != FORMATS:
        pytest.skip("another format")
    outbox = Outbox(Rows(dict(release.outbox)))

    async def recovered() -> None:
        outbox.handler.recovered(0, outbox.rows)  # type: ignore[arg-type]  # rows in memory

    asyncio.run(recovered())
    assert outbox.row.dirty
    assert CONTACT.encode() in release.outbox

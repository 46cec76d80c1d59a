"""All results of calls are read again: that fills holes of the outbox, and harms nothing where there are none."""

from pathlib import Path

import pytest

from testkit.virtual.local_broker import LocalTable
from tests.dispatch.dispatch_harness import BOB, CONTACTS, Site, contact_task, on_site


async def read_deliveries_again(site: Site, *, lost: bytes | None = None) -> None:
    """As ``owdd topics reread --deliveries`` does, with the worker stopped; ``lost`` is a row that an older version lost."""
    await site.stop()
    if lost is not None:
        table = LocalTable(Path(site._directory), 1)
        assert table.get(0, lost) is not None
        table.write(0, {lost: None})
        table.close()
    events = list(site.broker.published[site.topics.deliveries])
    site.broker.append(site.topics.deliveries, 0, [(None, value) for value in events])
    site.start()
    await site.quiet()


@pytest.mark.parametrize("hole", [False, True])
@on_site(settings={"partitions": 1})
async def test_it_is_known_again_that_we_created_a_contact(site: Site, *, hole: bool) -> None:
    site.want()
    site.want(BOB, "Bob")
    site.record("17")
    await site.quiet()
    site.want(name="Anna")
    await site.quiet()
    await read_deliveries_again(site, lost=contact_task().encode() if hole else None)
    # The captured topics are read again too.
    site.want(name="Anna")
    site.record("17")
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Anna"
    assert len(site.calls("POST", CONTACTS)) == 2, "nobody was created twice"
    site.want(name=None)
    await site.until(lambda: site.held() is None)
    assert site.held(BOB) is not None

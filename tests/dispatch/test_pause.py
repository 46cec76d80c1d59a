"""The emergency stop, over the whole of dispatch: what waits, what goes on, and that a restart changes nothing."""

from streams.core.lanes import Lane
from streams.messages.write_control import WriteControl
from tests.dispatch.dispatch_harness import ANN, BOB, DAY, Site, on_site


def pause(site: Site, *, everything: bool = False) -> None:
    site.controls.set(WriteControl(site.clock.now_ms(), "kim", paused=True, everything=everything))


def resume(site: Site) -> None:
    site.controls.set(WriteControl(site.clock.now_ms(), "kim", paused=False))


async def filled(site: Site) -> None:
    site.want(ANN, opted=True)
    site.want(BOB, despatched=site.now - 30 * DAY + 600, opted=True)
    site.record("A1")
    await site.quiet()
    assert site.listed(BOB)
    site.forget_calls()


@on_site()
async def test_nothing_is_written_while_writes_are_paused_and_all_of_it_after(site: Site) -> None:
    await filled(site)
    pause(site)
    site.want(ANN, "Anna", lane=Lane.URGENT)
    site.record("A1", "despatched")
    site.record("A2")
    site.want(BOB, None)
    site.item(7)
    for number in range(40):
        site.want(f"new{number}@example.com", lane=Lane.BULK)
    await site.pass_(900)
    assert site.written() == []
    assert sum(site.dispatch.queue.counts().values()) >= 45, "what waits is seen to wait"
    assert site.dispatch.remark is not None
    assert "kim" in site.dispatch.remark
    resume(site)
    await site.quiet()
    assert site.dispatch.remark is None
    assert site.contact(ANN).data["FIRSTNAME"] == "Anna"
    assert site.records() == {"A1": "despatched", "A2": "open"}
    assert site.held(BOB) is None
    assert all(site.held(f"new{number}@example.com") for number in range(40))


@on_site()
async def test_opt_outs_go_on_without_the_data_and_erasures_too(site: Site) -> None:
    await filled(site)
    pause(site)
    site.want(ANN, "Wrong", opted=False)
    site.erase(BOB)
    await site.until(lambda: site.contact(ANN).email_status == "unsubscribed" and site.held(BOB) is None)
    await site.pass_(600)
    assert site.contact(ANN).data["FIRSTNAME"] == "Ann"
    assert len([call for call in site.written() if call.method == "PATCH"]) == 1
    assert len(site.calls()) < 10, "an opt-out that was sent is not looked at again"
    resume(site)
    await site.quiet()
    assert site.contact(ANN).data["FIRSTNAME"] == "Wrong"


@on_site()
async def test_asked_to_it_stops_opt_outs_and_erasures_as_well(site: Site) -> None:
    await filled(site)
    pause(site, everything=True)
    site.want(ANN, opted=False)
    site.erase(BOB)
    await site.pass_(600)
    assert site.calls() == []
    resume(site)
    await site.until(lambda: site.contact(ANN).email_status == "unsubscribed" and site.held(BOB) is None)


@on_site()
async def test_a_worker_that_starts_knows_of_the_pause_before_its_first_call(site: Site) -> None:
    await filled(site)
    pause(site)
    await site.pass_(1)
    site.want(ANN, "Anna")
    await site.restart()
    await site.pass_(600)
    assert site.written() == []
    resume(site)
    await site.until(lambda: site.contact(ANN).data["FIRSTNAME"] == "Anna")

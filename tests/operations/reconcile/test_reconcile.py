"""Every class of drift is found, all of it and nothing else, while traffic flows; it is put right, and then there is none."""

import asyncio
import os
from contextlib import suppress

import pytest

from streams.messages.reconciliations import ReconcileRun
from streams.operations.reconcile import comparison
from streams.operations.reconcile.drift import Drift
from testkit.sandbox.calls import HIGH, LOW, MEDIUM
from tests.dispatch.dispatch_harness import Site, on_site
from tests.operations.reconcile.planted_shop import PlantedShop, shown

CONTACTS = int(os.environ.get("OWDD_RECONCILE_CONTACTS", "120"))
EACH = max(2, CONTACTS // 70)
SETTINGS = {"readback_seconds": 60.0, "brake_least": 10_000, "budget_low": 35, "budget_medium": 100, "budget_high": 300}
NOT_HEALED = (Drift.FOLLOW_UP_OPEN,)
"""What a person must look into; and a contact that somebody deleted is set aside, and no difference any more."""


@pytest.fixture(autouse=True)
def _everything_is_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_EXAMPLES", 1_000_000)


def unlike(run: ReconcileRun, expected: set[tuple[str, str, str]]) -> dict[str, object]:
    return {"missed": expected - shown(run), "false": shown(run) - expected}


RIGHT: dict[str, object] = {"missed": set(), "false": set()}


@on_site(settings=SETTINGS)
async def test_every_drift_is_found_put_right_and_gone(site: Site) -> None:
    shop = PlantedShop(site, CONTACTS)
    await shop.fill()
    await shop.plant(EACH)
    site.box.store.limits.update({LOW: 35, MEDIUM: 100, HIGH: 300})
    site.forget_calls()
    serving = asyncio.create_task(shop.serve())
    found = await shop.compare()
    assert unlike(found, shop.expected()) == RIGHT
    assert (found.drift["frozen_long"], found.unsettled, found.unchecked, found.healed) == (1, 0, 0, 0)
    healed = await shop.compare(execute=True)
    assert unlike(healed, shop.expected()) == RIGHT
    await site.pass_(900)
    after = await shop.compare()
    assert unlike(after, shop.expected(*NOT_HEALED)) == RIGHT
    assert not [call for call in site.line.calls if call.status == 429], "beyond the budget"
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving

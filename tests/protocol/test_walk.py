"""The walk of one despatch on the page is the way that it really goes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streams
from streams.capture.envelope import RowEvent, decode
from streams.core.lanes import Lane
from streams.operations.walk import MODULES_THAT_RUN, NEEDS_BROKER, WALK
from tests.dispatch.dispatch_harness import Site, on_site
from tests.protocol.test_emitted import Network
from tests.testkit.oracle.test_oracle_pipeline import shop, shop_site

SOURCE = Path(streams.__file__).parent


@contextmanager
def executed() -> Iterator[set[str]]:
    """The modules of the product in which a function runs meanwhile."""
    found: set[str] = set()

    def note(frame: Any, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(str(SOURCE)) and frame.f_code.co_name != "<module>":
            found.add(Path(name).relative_to(SOURCE).as_posix())

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


def joined() -> set[str]:
    """What runs from the record of a despatch to the desired contact."""
    mapping = shop_site(1)
    simulation = shop(mapping, 1)
    network, despatches = Network(simulation), []
    for record in simulation.events():
        event = decode(record.key, record.value)
        if isinstance(event, RowEvent):
            network.ingest(event)
            if event.table == mapping.order.despatch.table and event.op == "c":
                despatches.append(record)
    network.settle()
    for record in reversed(despatches):
        with executed() as found:
            # Once more: an equal position is written again, and passed on.
            event = decode(record.key, record.value)
            assert isinstance(event, RowEvent)
            network.ingest(event)
            network.settle()
        if "agents/contacts.py" in found:
            return found
    raise AssertionError("every order with a despatch is held")


@on_site()
async def test_a_despatch_goes_through_the_modules_of_the_walk_and_through_as_many_as_the_page_says(site: Site) -> None:
    site.want(name="Ann")
    await site.until(site.held)
    await site.quiet()
    with executed() as found:
        site.want(name="Anna", lane=Lane.URGENT)
        await site.quiet()
    assert site.calls("PATCH", good=True)
    found |= joined() | NEEDS_BROKER
    assert {step.module for step in WALK} <= found
    # Linger, table and transport run beside a broker only. Helpers come and go; the page need not be made anew for each.
    assert abs(len(found) + 3 - MODULES_THAT_RUN) <= 6, len(found)

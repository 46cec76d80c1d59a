"""A barrier is complete once it has come from every partition of all who send it, and counts once."""

from random import Random

import pytest

from streams.core.lanes import Lane
from streams.engine.barriers import completes
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.barriers import Barrier, BarrierChange
from streams.messages.changes import EVERYWHERE
from tests.agents.memory import Rows

ALL = [("orders", 0), ("orders", 1), ("ingest", 0)]


def barrier(sender: str, partition: int, about: str = "a") -> BarrierChange:
    row = Barrier(sender, partition, 1 if sender == "ingest" else 2)
    return BarrierChange(EVERYWHERE, about, b"", Lane.BULK, 0, row)


@pytest.mark.parametrize("seed", range(6))
def test_it_completes_with_the_last_sender_and_never_again(seed: int) -> None:
    rows, came = Rows(), ALL * 3
    Random(seed).shuffle(came)
    missing, done = set(ALL), []
    for sender, partition in came:
        unit = UnitOfWork(0, 2, rows, 1)
        done.append(completes(unit, barrier(sender, partition), ("orders", "ingest")))
        assert not completes(unit, barrier("orders", 0, about="b"), ("orders",))
        rows.commit(unit)
        assert done[-1] is (missing == {(sender, partition)})
        missing.discard((sender, partition))
    assert done.count(True) == 1


def test_what_is_lost_with_the_worker_completes_it_again() -> None:
    rows = Rows()
    unit = UnitOfWork(0, 1, rows, 1)
    assert completes(unit, barrier("ingest", 0), ("ingest",))
    rows.write(unit.writes)  # and dies before what it sends is acknowledged
    assert completes(UnitOfWork(0, 1, rows, 1), barrier("ingest", 0), ("ingest",))

"""Offsets that a consumer has passed without a record hold nothing for us, unless it was deleted before anybody read it."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.engine.transport import _Consumer
from streams.kafka.continuity import LostRecordsError

PLACE = TP("in", 0)
READ, AT = 10, 15


class Stopped:
    """A consumer that stopped at ``READ``, was sent back there once, and is at ``AT`` again, in a log that begins at ``begin``."""

    def __init__(self, begin: int) -> None:
        self.passed: dict[TP, int] = {}
        self.crashed: list[Exception] = []
        made: Any = _Consumer.__new__(_Consumer)
        made._next, made._commit_from, made._committed_offset = {PLACE: READ}, {PLACE: READ}, {PLACE: READ}
        made._holes = {PLACE: (READ, AT)}
        made._thread = SimpleNamespace(positions=self._positions)
        made.transport = SimpleNamespace(closed=set(), passed=self.passed.update)
        made.app = SimpleNamespace(crash=self._crash)
        made.earliest_offsets, made._commit = self._begins, self._commit
        self.consumer, self._begin = made, begin

    async def _positions(self, _: Any) -> dict[TP, int]:
        return {PLACE: AT}

    async def _begins(self, *_: Any) -> dict[TP, int]:
        return {PLACE: self._begin}

    async def _crash(self, error: Exception) -> None:
        self.crashed.append(error)

    async def _commit(self, _: Any) -> bool:
        return True


@pytest.mark.parametrize("begin", [0, READ])
async def test_markers_of_transactions_are_passed_over(begin: int) -> None:
    stopped = Stopped(begin)
    await stopped.consumer._pass_over()
    assert stopped.passed == {PLACE: AT} and not stopped.crashed


async def test_records_that_were_deleted_unread_are_not() -> None:
    stopped = Stopped(AT)
    await stopped.consumer._pass_over()
    assert [type(error) for error in stopped.crashed] == [LostRecordsError] and not stopped.passed

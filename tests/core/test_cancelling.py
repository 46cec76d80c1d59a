import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from streams.core.cancelling import cancellable


async def test_a_cancellation_that_was_dropped_comes_again() -> None:
    begun, cancellations = asyncio.Event(), 0

    async def deaf_at_first() -> None:
        nonlocal cancellations
        begun.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancellations += 1
                if cancellations == 2:
                    raise

    await _cancelled(deaf_at_first(), begun)
    assert cancellations == 2


async def test_the_error_of_what_was_to_be_cancelled_is_not_its_outcome() -> None:
    begun = asyncio.Event()

    async def fails() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError

    await _cancelled(fails(), begun)


async def test_otherwise_its_error_is() -> None:
    async def fails() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await cancellable(fails())


async def _cancelled(work: Coroutine[Any, Any, None], begun: asyncio.Event) -> None:
    task = asyncio.create_task(cancellable(work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

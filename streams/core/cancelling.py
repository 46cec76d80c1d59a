"""A cancellation that arrives."""

import asyncio
from collections.abc import Coroutine
from typing import Any

_AGAIN_SECONDS = 0.5


async def cancellable(work: Coroutine[Any, Any, None]) -> None:
    """Do ``work``; if this is cancelled, cancel it until it ends.

    Once is not enough: ``asyncio.wait_for`` of Python 3.11 drops a cancellation that comes as a connection is made (gh-86296),
    and who has pressed Ctrl-C would wait for the client's time-out.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_AGAIN_SECONDS)
        # Whatever it ended with, it was to be cancelled.
        await asyncio.gather(task, return_exceptions=True)
        raise

"""ASGI applications on ports of this machine, for as long as a test needs them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from testkit.local_services.ports import free_port
from tests.patience import PATIENCE


@asynccontextmanager
async def served(app: Any, *, lifespan: bool = False) -> AsyncIterator[int]:
    """Serve ``app``, with its lifespan if it has one; the port that it listens on."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="on" if lifespan else "off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE):
        while not server.started:
            assert not serving.done(), serving
            await asyncio.sleep(0.02)  # it polls a server that starts
    try:
        yield port
    finally:
        server.should_exit = True
        await serving

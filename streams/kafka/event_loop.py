"""The event loop of our processes: uvloop, with aiokafka taught to live with it.

asyncio ignores a write to a connection that the other side has closed; uvloop raises ``RuntimeError``, which aiokafka does not
expect (aio-libs/aiokafka issue 1038). When a broker goes at the wrong moment that ends aiokafka's metadata task: the client
lives on, never asks the broker for metadata again, and logs nothing.
"""

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any

import uvloop
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop for ``asyncio.Runner``, in which a closed connection is an error that aiokafka knows and retries."""
    for name in ("send", "_send_sasl_token"):
        method = getattr(AIOKafkaConnection, name)
        if not hasattr(method, "__wrapped__"):
            setattr(AIOKafkaConnection, name, _as_kafka_error(method))
    return uvloop.new_event_loop()


def _as_kafka_error(write: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(write)
    def wrapper(connection: Any, *args: Any, **kwargs: Any) -> Any:
        writer = connection._writer
        try:
            return write(connection, *args, **kwargs)
        except RuntimeError as error:
            if writer is None or not writer.transport.is_closing():
                raise
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"connection to {connection.host}:{connection.port} is closed") from error

    return wrapper

"""Errors of Kafka Connect, by the remedy.

    ConnectError
    ├── ConnectUnreachable    no answer, a 5xx, or an answer that is not Kafka Connect's: look at the worker
    ├── ConnectBusy           409 for longer than we repeat a call: the workers are still rebalancing
    ├── ConnectorMissing      404: there is no connector or plugin of that name
    └── ConnectRefused        any other 4xx: the request is wrong

No message quotes a configuration value that could be a secret.
"""

from streams.core.errors import OwddError


class ConnectError(OwddError):
    """Base of every failed call; ``call`` names the method and path."""

    def __init__(self, call: str, message: str) -> None:
        super().__init__(f"Kafka Connect: {call}: {message}")
        self.call = call


class ConnectUnreachable(ConnectError):
    """No usable answer; ``reason`` is short and stable."""

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(call, f"{reason}. Check OWDD_CONNECT_URL, and that the worker runs and has finished starting.")
        self.reason = reason


class ConnectBusy(ConnectError):
    """Every repetition found a rebalance under way."""

    def __init__(self, call: str, message: str) -> None:
        super().__init__(call, f"{message}. The workers are rebalancing; try again in a minute, then look at their logs.")


class ConnectorMissing(ConnectError):
    """There is nothing of that name."""

    def __init__(self, call: str, message: str) -> None:
        super().__init__(call, f"{message}. 'owdd connectors plan' shows what would be created.")


class ConnectRefused(ConnectError):
    """The worker understood and refused; ``message`` is its own text."""

    def __init__(self, call: str, status: int, message: str) -> None:
        super().__init__(call, f"refused with HTTP {status}: {message}")
        self.status = status
        self.message = message

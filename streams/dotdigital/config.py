"""How to reach one account, in plain values."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Endpoint, credentials and limits of one client.

    ``url`` is the endpoint of the account's region, or ``auto``: the account is asked for it. ``connections`` is the number of
    concurrent calls; ``timeout`` is that of one call, in seconds (:mod:`streams.dotdigital.transport` gives imports more).
    """

    url: str
    user: str
    password: str = field(repr=False)
    connections: int = 8
    timeout: float = 30.0

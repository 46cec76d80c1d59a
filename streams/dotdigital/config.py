"""The client's configuration in plain values, so that the client does not depend on the product's settings."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Endpoint, credentials and limits of one client.

    Attributes:
        url: the endpoint of the account's region, or ``auto`` to ask the account for it.
        user: the API user's login.
        password: the API user's password.
        connections: the number of concurrent calls.
        timeout: of one call, in seconds; bulk calls have more (:mod:`streams.dotdigital.transport`).
    """

    url: str
    user: str
    password: str = field(repr=False)
    connections: int = 8
    timeout: float = 30.0

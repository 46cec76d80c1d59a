"""Who may read the console: people whom a trusted proxy names (OIDC), or who sign in with the token."""

import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.requests import Request

from streams.core.clock import Clock
from streams.core.errors import ConfigurationError
from streams.settings import Settings

COOKIE: Final = "owdd_console"
_HOURS: Final = 12
_MOST_SESSIONS: Final = 1_000
_MOST_FAILURES: Final = 20
_MOST_CLIENTS: Final = 1_000
_FAILURES_MS: Final = 60_000


@dataclass(slots=True)
class Access:
    """The people who may read: by proxy, or by sessions that begin with the token and end after 12 hours.

    Sessions are in memory: a restart of the console signs everybody out.
    """

    token: str
    header: str
    proxies: list[IPv4Network | IPv6Network]
    clock: Clock
    _sessions: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _failures: OrderedDict[str, deque[int]] = field(default_factory=OrderedDict)

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> "Access":
        """As the settings say.

        Raises:
            ConfigurationError: nobody could sign in, a header would be trusted from anybody, or a network is none.
        """
        token, header = settings.console_token.get_secret_value(), settings.console_user_header
        if not token and not header:
            remedy = "Set OWDD_CONSOLE_TOKEN, or OWDD_CONSOLE_USER_HEADER and OWDD_CONSOLE_PROXIES"
            raise ConfigurationError("nobody could sign in", where="owdd console", remedy=remedy)
        if header and not settings.console_proxies:
            remedy = "Set OWDD_CONSOLE_PROXIES to the proxy's address"
            raise ConfigurationError("anybody could send the header", where="OWDD_CONSOLE_USER_HEADER", remedy=remedy)
        try:
            networks = [ip_network(place) for place in filter(None, settings.console_proxies.split(","))]
        except ValueError as error:
            raise ConfigurationError(str(error), where="OWDD_CONSOLE_PROXIES") from None
        return cls(token, header, networks, clock)

    @property
    def by_token(self) -> bool:
        """Whether people can sign in with the token."""
        return bool(self.token)

    def reader(self, request: Request) -> str | None:
        """Who reads: the name that the proxy gives, or a word for whoever signed in with the token; None: nobody may."""
        if self.header and self._is_proxy(request) and (name := request.headers.get(self.header)):
            return name
        return "token" if self._has_session(request.cookies.get(COOKIE, "")) else None

    def sign_in(self, token: str, client: str) -> str | None:
        """A session for whoever knows the token; None: it is another one, or ``client``'s address tried too many others."""
        now = self.clock.now_ms()
        failures = self._failures.get(client, deque())
        while failures and failures[0] < now - _FAILURES_MS:
            failures.popleft()
        if len(failures) >= _MOST_FAILURES:
            return None
        if not self.token or not _equal(token, self.token):
            failures.append(now)
            self._failures[client] = failures
            self._failures.move_to_end(client)
            while len(self._failures) > _MOST_CLIENTS:
                self._failures.popitem(last=False)
            return None
        session = secrets.token_urlsafe(32)
        self._sessions[session] = now + _HOURS * 3_600_000
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def sign_out(self, request: Request) -> None:
        """End the session of a request."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def _has_session(self, session: str) -> bool:
        until = self._sessions.get(session)
        return until is not None and self.clock.now_ms() < until

    def _is_proxy(self, request: Request) -> bool:
        if request.client is None:
            return False
        return _within(request.client.host, self.proxies)


def _within(host: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())

"""Finds an account's endpoint. Dotdigital has three regions; only the r1 host's account-info answers for accounts of all three.

Source: developer.dotdigital.com, "API endpoints".
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

from streams.core.errors import ConfigurationError
from streams.dotdigital.account import AccountCalls
from streams.dotdigital.errors import AccessError
from streams.dotdigital.tiers import Operation

AUTO: Final = "auto"
"""The setting that means: ask the account for its endpoint."""

GLOBAL_URL: Final = "https://r1-api.dotdigital.com"
"""Answers account-info for the accounts of every region."""

_OURS: Final = (".dotdigital.com", ".dotmailer.com")
_REAL_USERS: Final = "@apiconnector.com"
"""Every API user ends so ("Creating an API user" in Dotdigital's help)."""
_NOBODY: Final = ".example"
"""A domain that nobody can have (RFC 2606); the users of sandboxes have it."""


def check_destination(url: str, user: str) -> None:
    """Credentials go to Dotdigital's hosts over TLS, and a sandbox gets its own. Any other host without TLS is a sandbox.

    Raises:
        ConfigurationError: ``url`` is somebody else's, or Dotdigital's without TLS, or ``user`` belongs to the other side.
    """
    sandbox = urlsplit(url).scheme == "http"
    theirs = (urlsplit(url).hostname or "").endswith(_OURS)
    if sandbox and theirs:
        remedy = "Begin it with https://, or set it to auto"
        raise ConfigurationError("would send credentials without TLS", where="OWDD_DOTDIGITAL_URL", remedy=remedy)
    if not sandbox and url != AUTO and not theirs:
        remedy = "Set it to the endpoint of the account's region, or to auto"
        raise ConfigurationError("is not a host of Dotdigital", where="OWDD_DOTDIGITAL_URL", remedy=remedy)
    if sandbox and user.strip().endswith(_REAL_USERS):
        remedy = "Set OWDD_DOTDIGITAL_URL to auto, or a user of the sandbox's own"
        reason = "belongs to a real account, and OWDD_DOTDIGITAL_URL is a sandbox"
        raise ConfigurationError(reason, where="OWDD_DOTDIGITAL_USER", remedy=remedy)
    if not sandbox and user.strip().endswith(_NOBODY):
        remedy = "Set it to the account's API user"
        raise ConfigurationError(
            "belongs to a sandbox, and OWDD_DOTDIGITAL_URL does not", where="OWDD_DOTDIGITAL_USER", remedy=remedy
        )


async def discover(calls: AccountCalls, asked: str = GLOBAL_URL) -> str:
    """The endpoint that the account names, without a slash at the end; ``asked`` is the host that ``calls`` go to.

    Raises:
        CredentialsError: user or password are wrong.
        AccessError: the account names no endpoint, or a host that is not Dotdigital's.
        DotdigitalError: any other failure of the call.
    """
    return endpoint(await calls.account(), asked)


def endpoint(account: Mapping[str, str], asked: str) -> str:
    """The endpoint among an account's properties.

    Raises:
        AccessError: as ``discover``.
    """
    named = account.get("ApiEndpoint", "").strip()
    operation = Operation.ACCOUNT_INFO
    if not named:
        raise AccessError(operation, "no-endpoint", "the account reports no ApiEndpoint: set OWDD_DOTDIGITAL_URL to its region")
    url = httpx.URL(named)
    # The password is sent to this host from now on: only Dotdigital's hosts over TLS may receive it, or the host that has
    # received it already (the sandbox names itself).
    same = (url.scheme, url.netloc) == (httpx.URL(asked).scheme, httpx.URL(asked).netloc)
    if not same and not (url.scheme == "https" and url.host.endswith(_OURS)):
        hint = f"the account names the endpoint {url.scheme}://{url.host}, which is not Dotdigital's: set OWDD_DOTDIGITAL_URL"
        raise AccessError(operation, "foreign-endpoint", hint)
    return named.rstrip("/")

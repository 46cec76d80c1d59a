"""Finds an account's endpoint. Dotdigital has three regions; only the r1 host's account-info answers for accounts of all three.

Source: developer.dotdigital.com, "API endpoints".
"""

from collections.abc import Mapping
from typing import Final

import httpx

from streams.dotdigital.account import AccountCalls
from streams.dotdigital.errors import AccessError
from streams.dotdigital.tiers import Operation

AUTO: Final = "auto"
"""The setting that means: ask the account for its endpoint."""

GLOBAL_URL: Final = "https://r1-api.dotdigital.com"
"""Answers account-info for the accounts of every region."""

_OURS: Final = (".dotdigital.com", ".dotmailer.com")


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

"""The Dotdigital account: region, credentials, fields, collections, list, programme, budget, and its clock against ours."""

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from streams.core.clock import SystemClock
from streams.dispatch.policies import client_config
from streams.dotdigital import bootstrap
from streams.dotdigital.client import DotdigitalClient, unobserved
from streams.dotdigital.credentials import Credentials
from streams.dotdigital.errors import DotdigitalError
from streams.dotdigital.region import GLOBAL_URL
from streams.operations.doctor.findings import Finding, Patient, State, ok

_FEW_SECONDS = 60
_MANY_SECONDS = 3600
_TIMEOUT = 10.0


async def account(patient: Patient) -> AsyncIterator[Finding]:
    """What the account has, against the mapping."""
    config = client_config(patient.settings)
    if not config.user or not config.password:
        fix = "Set both, as secret files for example"
        yield Finding("credentials", "fail", "OWDD_DOTDIGITAL_USER or OWDD_DOTDIGITAL_PASSWORD is empty", fix)
        return
    if warning := Credentials.of(config).warning:
        yield Finding("credentials", "warn", warning)
    try:
        async with DotdigitalClient(config, unobserved) as client:
            steps = await bootstrap.plan(client, patient.mapping)
    except DotdigitalError as error:
        fix = "Check OWDD_DOTDIGITAL_URL, user and password; 'auto' takes the region from the account"
        yield Finding("account", "fail", str(error), fix, "owdd dotdigital plan")
        return
    yield ok("account", f"{config.url} accepts the user")
    for step in steps:
        if step.blocked:
            fix = "Map another name in mapping.yaml, or settle it in Dotdigital"
            yield Finding("account", "fail", str(step), fix, "owdd dotdigital plan")
        elif step.action == "create":
            yield Finding("account", "fail", f"{step} is missing", "Create it", "owdd dotdigital apply --execute")
    if all(step.action == "ok" for step in steps):
        yield ok("account", f"{len(steps)} fields, collections and lists are as mapped")


async def clock(patient: Patient) -> AsyncIterator[Finding]:
    """The time of Dotdigital's responses against this machine's: the budget's minutes and all due times depend on it."""
    url = patient.settings.dotdigital_url
    async with httpx.AsyncClient(timeout=_TIMEOUT) as http:
        try:
            response = await http.head(url if urlsplit(url).scheme else GLOBAL_URL)
        except httpx.HTTPError as error:
            fix = "Check OWDD_DOTDIGITAL_URL, and the way out to the internet"
            yield Finding("network", "fail", f"Dotdigital cannot be reached: {type(error).__name__}", fix)
            return
    if "date" not in response.headers:
        yield Finding("clock", "warn", "Dotdigital's response has no time to compare with", "Compare the clock by hand")
        return
    difference = abs(SystemClock().now_ms() / 1000 - parsedate_to_datetime(response.headers["date"]).timestamp())
    if difference > _FEW_SECONDS:
        state: State = "fail" if difference > _MANY_SECONDS else "warn"
        fix = "Let NTP set the clock; Kafka refuses records that are an hour ahead"
        yield Finding("clock", state, f"this machine is {difference:,.0f} s apart from Dotdigital", fix)
    else:
        yield ok("clock", f"within {difference:.0f} s of Dotdigital's")

"""Reads the body of a v3 contact write into checked, stored form.

v3 keys match exactly. Unknown top-level members are let through, as connectors send `matchIdentifier` on single
calls; inside `channelProperties`, which the specification closes, they are refused. Which of the v3 codes answers a
given mistake is mostly unpublished: structure gives `contacts:badRequest` and content `contacts:invalidValue`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeGuard

from testkit.sandbox.codec import BadJsonError, loads
from testkit.sandbox.datafields import Scalar
from testkit.sandbox.error_replies import Detail, bad_json, bad_request, invalid_id, invalid_value, v3_error
from testkit.sandbox.identifiers import CONTACT_ID, normalise
from testkit.sandbox.store import Store

Verb = Literal["POST", "PATCH", "PUT"]

MOST_LISTS = 100
"""List ids that one write may add (contacts specification)."""

_EMAIL_TYPES = {"html": "Html", "plainText": "PlainText"}
_OPT_IN_TYPES = {"unknown": "Unknown", "single": "Single", "double": "Double", "verifiedDouble": "VerifiedDouble"}
_EMAIL_STATUSES = {name: name for name in ("subscribed", "unsubscribed", "suppressed")}
_PHONE_STATUSES = {"noSubscription": "noSubscription"} | _EMAIL_STATUSES
_CONSENT_MEMBERS = ("text", "dateTimeConsented", "url", "ipAddress", "userAgent")
# Dotdigital's own client sends consent times without a zone, so only the date and time are demanded.
_CONSENT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?")


@dataclass(slots=True)
class ContactBody:
    """A checked write. Absent members are empty or None; a None in `data` clears that field."""

    identifiers: dict[str, str] = field(default_factory=dict)
    contact_id: int | None = None
    data: dict[str, Scalar | None] = field(default_factory=dict)
    email_type: str | None = None
    opt_in: str | None = None
    email_status: str | None = None
    challenge: bool = False
    sms_status: str | None = None
    whatsapp_status: str | None = None
    lists: list[int] = field(default_factory=list)
    preferences: dict[int, bool] = field(default_factory=dict)
    consents: list[dict[str, str]] = field(default_factory=list)


def read_contact(raw: bytes, store: Store, verb: Verb) -> ContactBody:
    """Parse and check `raw`. Raises ApiError 400: badJson, badRequest, invalidId or invalidValue."""
    try:
        members = loads(raw)
    except BadJsonError:
        raise bad_json() from None
    if not isinstance(members, dict):
        raise bad_request("The request body must be an object")
    body = ContactBody()
    details: list[Detail] = []
    if "identifiers" in members:
        _identifiers(members["identifiers"], store.config.custom_identifiers, body)
    elif verb != "PATCH":
        raise bad_request("The contact has no identifiers", [("identifiers", "is required")])
    if "dataFields" in members:
        body.data, details = store.fields.check(_object(members["dataFields"], "dataFields"))
    read_relations(members, store.lists.names, verb, body, details)
    if details:
        raise invalid_value(details)
    return body


def read_relations(
    members: Mapping[str, object], known: Collection[int] | None, verb: Verb, body: ContactBody, details: list[Detail]
) -> None:
    """Read what is neither identifier nor data field; `known` are the lists there are, None to let any id through.

    Adds what is wrong to `details`. Raises ApiError 400 for a wrong structure.
    """
    if "channelProperties" in members:
        _channels(_object(members["channelProperties"], "channelProperties"), verb, body, details)
    if "lists" in members:
        _lists(_array(members["lists"], "lists", MOST_LISTS), known, body, details)
    if "preferences" in members:
        _preferences(_array(members["preferences"], "preferences", None), body, details)
    if "consentRecords" in members:
        if verb == "PUT":
            raise bad_request("A replacement takes no consent records", [("consentRecords", "is not allowed")])
        _consents(_array(members["consentRecords"], "consentRecords", 5), body, details)


def _object(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise bad_request("The request body has the wrong structure", [(path, "must be an object")])
    return value


def _array(value: object, path: str, most: int | None) -> list[object]:
    if not isinstance(value, list) or not value or (most is not None and len(value) > most):
        wanted = "must be an array of one or more items" if most is None else f"must be an array of 1 to {most} items"
        raise bad_request("The request body has the wrong structure", [(path, wanted)])
    return value


def _identifiers(value: object, custom: Collection[str], body: ContactBody) -> None:
    for kind, item in _object(value, "identifiers").items():
        if kind != CONTACT_ID:
            body.identifiers[kind] = normalise(kind, item, custom)
        elif isinstance(item, int) and not isinstance(item, bool):
            body.contact_id = item
        else:
            raise invalid_id(kind, item)


def _channels(channels: Mapping[str, object], verb: Verb, body: ContactBody, details: list[Detail]) -> None:
    for name, value in channels.items():
        path = f"channelProperties.{name}"
        if name == "email":
            _email_channel(_object(value, path), path, verb, body, details)
        elif name == "sms":
            body.sms_status = _phone_channel(_object(value, path), path, details)
        elif name == "whatsApp":
            body.whatsapp_status = _phone_channel(_object(value, path), path, details)
        else:
            details.append((path, "is not a channel"))


def _email_channel(members: Mapping[str, object], path: str, verb: Verb, body: ContactBody, details: list[Detail]) -> None:
    for name, value in members.items():
        where = f"{path}.{name}"
        if name == "emailType":
            body.email_type = _choice(value, _EMAIL_TYPES, where, details)
        elif name == "optInType":
            body.opt_in = _choice(value, _OPT_IN_TYPES, where, details)
        elif name == "status":
            body.email_status = _choice(value, _EMAIL_STATUSES, where, details)
        elif name == "resubscribeOptions" and verb != "POST":
            silent = _object(value, where).get("resubscribeWithNoChallenge", True)
            if not isinstance(silent, bool):
                details.append((f"{where}.resubscribeWithNoChallenge", "must be true or false"))
            body.challenge = silent is False
        else:
            details.append((where, "is not allowed"))


def _phone_channel(members: Mapping[str, object], path: str, details: list[Detail]) -> str | None:
    status = None
    for name, value in members.items():
        if name == "status":
            status = _choice(value, _PHONE_STATUSES, f"{path}.{name}", details)
        else:
            details.append((f"{path}.{name}", "is not allowed"))
    return status


def _choice(value: object, choices: Mapping[str, str], path: str, details: list[Detail]) -> str | None:
    chosen = choices.get(value) if isinstance(value, str) else None
    if chosen is None:
        details.append((path, f"must be one of {', '.join(choices)}"))
    return chosen


def _lists(items: list[object], known: Collection[int] | None, body: ContactBody, details: list[Detail]) -> None:
    for position, item in enumerate(items):
        if not _is_id(item):
            details.append((f"lists[{position}]", "must be an integer list id"))
        elif known is not None and item not in known:
            details.append((f"lists[{position}]", "is not a list of this account"))
        else:
            body.lists.append(item)


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _preferences(items: list[object], body: ContactBody, details: list[Detail]) -> None:
    for position, item in enumerate(items):
        path = f"preferences[{position}]"
        members = _object(item, path)
        number, opted_in = members.get("id"), members.get("isOptedIn")
        if not _is_id(number):
            details.append((f"{path}.id", "must be an integer preference id"))
        elif not isinstance(opted_in, bool):
            details.append((f"{path}.isOptedIn", "must be true or false"))
        else:
            body.preferences[number] = opted_in


def _consents(items: list[object], body: ContactBody, details: list[Detail]) -> None:
    for position, item in enumerate(items):
        path = f"consentRecords[{position}]"
        members = _object(item, path)
        record: dict[str, str] = {}
        for name in _CONSENT_MEMBERS:
            value = members.get(name)
            if not isinstance(value, str) or not value:
                # A consent record without its text is known to fail as the server's badJson, not the service's.
                raise v3_error(400, "server:badJson", "A consent record is incomplete", [(f"{path}.{name}", "is required")])
            record[name] = value
        if _CONSENT_TIME.fullmatch(record["dateTimeConsented"]) is None:
            details.append((f"{path}.dateTimeConsented", "must be an ISO-8601 date and time"))
        if not _is_address(record["ipAddress"]):
            details.append((f"{path}.ipAddress", "must be an IPv4 or IPv6 address"))
        body.consents.append(record)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

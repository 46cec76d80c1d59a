"""Contacts as Dotdigital's replies show them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from testkit.sandbox.consent import overall_status
from testkit.sandbox.identifiers import EMAIL, MOBILE
from testkit.sandbox.store import Contact

# Enough to tell numbers apart in tests; the real service knows every country.
_COUNTRY_CODES = {"44": "GB", "353": "IE", "33": "FR", "49": "DE", "61": "AU", "1": "US"}
_UNKNOWN_COUNTRY = "ZZ"

EXPANSIONS = ("channelProperties", "lists", "preferences", "consentRecords")
"""What the listing's `include` can ask for; a single contact shows all of it."""


def basics(contact: Contact) -> dict[str, object]:
    """The members that every reply about a contact has."""
    if contact.binned is not None:
        status = "binned"
    elif contact.email is not None:
        status = overall_status(contact.email_status)
    else:
        status = contact.sms_status
    return {
        "contactId": contact.id,
        "status": status,
        "created": contact.created,
        "updated": contact.updated,
        "identifiers": contact.identifiers,
    }


def full(contact: Contact, lists: Mapping[int, str]) -> dict[str, object]:
    """The reply to a read or a write of one contact; data fields without a value are absent."""
    shown = basics(contact)
    shown["dataFields"] = contact.data
    expand(shown, contact, EXPANSIONS, lists)
    return shown


def expand(shown: dict[str, object], contact: Contact, wanted: Collection[str], lists: Mapping[int, str]) -> None:
    """Add the `wanted` expansions to a reply; a contact without preferences shows none, as its array is never empty."""
    if "channelProperties" in wanted:
        shown["channelProperties"] = _channels(contact)
    if "lists" in wanted:
        shown["lists"] = [_membership(contact, number, lists) for number in contact.lists]
    if "preferences" in wanted and contact.preferences:
        shown["preferences"] = [
            {"id": number, "isOptedIn": opted_in, "publicName": f"Preference {number}", "privateName": f"PREF_{number}"}
            for number, opted_in in contact.preferences.items()
        ]
    if "consentRecords" in wanted:
        shown["consentRecords"] = contact.consents


def _channels(contact: Contact) -> dict[str, object]:
    channels: dict[str, object] = {}
    if EMAIL in contact.identifiers:
        channels["email"] = {
            "emailType": contact.email_type,
            "optInType": contact.opt_in,
            "status": contact.email_status,
        }
    mobile = contact.identifiers.get(MOBILE)
    if mobile is not None:
        channels["sms"] = {"countryCode": _country(mobile), "status": contact.sms_status}
        channels["whatsApp"] = {"status": contact.whatsapp_status}
    return channels


def _country(mobile: str) -> str:
    for length in (3, 2, 1):
        code = _COUNTRY_CODES.get(mobile[:length])
        if code is not None:
            return code
    return _UNKNOWN_COUNTRY


def _membership(contact: Contact, number: int, lists: Mapping[int, str]) -> dict[str, object]:
    status = {"subscribed": "subscribed", "pendingOptIn": "pending"}.get(overall_status(contact.email_status))
    return {"id": number, "name": lists[number], "status": status or "suppressed"}

"""Writes checked contact bodies into the store, the same way for single calls and for imports."""

from __future__ import annotations

from collections.abc import Mapping

from testkit.sandbox import consent
from testkit.sandbox.bodies import ContactBody
from testkit.sandbox.datafields import Scalar
from testkit.sandbox.error_replies import bad_request, id_taken, invalid_id
from testkit.sandbox.identifiers import CONTACT_ID, EMAIL
from testkit.sandbox.store import Contact, Store

OVERWRITE = "overwrite"
IF_NOT_EMPTY = "overwrite-if-not-empty"
IF_EMPTY = "overwrite-if-empty"
MERGE_OPTIONS = (OVERWRITE, IF_NOT_EMPTY, IF_EMPTY)


class Writer:
    """Creates, merges and replaces contacts. A refused write has changed nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._config = store.config

    def add(self, body: ContactBody, identifiers: dict[str, str]) -> Contact:
        """A new contact; the caller has seen that its identifiers are free."""
        contact = self._store.create(identifiers)
        status = self._status(contact, body, identifiers)
        _merge_data(contact.data, body.data, OVERWRITE)
        self._apply(contact, body, status)
        contact.updated = contact.created
        return contact

    def update(self, contact: Contact, body: ContactBody, option: str) -> Contact:
        """Merge into a contact, and bring it back from the bin.

        Raises ApiError 400 for an id that is not its own or a status that cannot be, 409 for a taken identifier.
        """
        self.require_own_id(contact, body)
        identifiers = contact.identifiers | body.identifiers
        renamed = identifiers != contact.identifiers
        if renamed:
            self.require_free(identifiers, contact)
        status = self._status(contact, body, identifiers)
        # Nothing below can fail: a refused call has changed nothing.
        if renamed:
            self._store.rename(contact, identifiers)
        contact.binned = None
        _merge_data(contact.data, body.data, option)
        self._apply(contact, body, status)
        return contact

    def replace(self, contact: Contact, body: ContactBody) -> Contact:
        """Identifiers and data fields become exactly what is sent. Raises ApiError as `update` does.

        Channels, lists, preferences and consent records that are not mentioned stay, as a replacement that resets
        consent or membership is not documented.
        """
        self.require_own_id(contact, body)
        self.require_free(body.identifiers, contact)
        status = self._status(contact, body, body.identifiers)
        if body.identifiers != contact.identifiers:
            self._store.rename(contact, body.identifiers)
        contact.data = {name: value for name, value in body.data.items() if value is not None}
        self._apply(contact, body, status)
        return contact

    def require_own_id(self, contact: Contact, body: ContactBody) -> None:
        if body.contact_id is not None and body.contact_id != contact.id:
            raise invalid_id(CONTACT_ID, body.contact_id)

    def require_free(self, identifiers: Mapping[str, str], owner: Contact | None) -> None:
        taken = self._store.taken(identifiers, owner)
        if taken is not None:
            raise id_taken(*taken)

    def _status(self, contact: Contact, body: ContactBody, identifiers: Mapping[str, str]) -> str:
        """The e-mail status after the write; a first address opens the channel, a lost one leaves it as it was."""
        if EMAIL not in identifiers:
            return contact.email_status
        confirm = body.opt_in == "VerifiedDouble" and contact.opt_in != "VerifiedDouble"
        if contact.email_status == consent.NO_CHANNEL:
            return consent.first_status(body.email_status, confirm=confirm or self._config.enforce_double_opt_in)
        try:
            return consent.next_status(contact.email_status, body.email_status, confirm=confirm, challenge=body.challenge)
        except consent.ResubscribeError:
            detail = ("channelProperties.email.status", "the channel's status does not allow resubscribing")
            raise bad_request("The contact cannot be resubscribed", [detail]) from None

    def _apply(self, contact: Contact, body: ContactBody, email_status: str) -> None:
        """Everything but identifiers and data fields."""
        contact.updated = now = self._store.now()
        contact.set_email_status(email_status, now)
        contact.email_type = body.email_type or contact.email_type
        contact.opt_in = body.opt_in or contact.opt_in
        contact.sms_status = body.sms_status or contact.sms_status
        contact.whatsapp_status = body.whatsapp_status or contact.whatsapp_status
        contact.lists.extend(number for number in dict.fromkeys(body.lists) if number not in contact.lists)
        contact.preferences.update(body.preferences)
        contact.consents.extend(record | {"dateTimeCreated": now} for record in body.consents)


def _merge_data(stored: dict[str, Scalar], incoming: Mapping[str, Scalar | None], option: str) -> None:
    """Take over `incoming`; null and the empty string are the blanks that the two cautious options speak of."""
    for name, value in incoming.items():
        if option == IF_NOT_EMPTY and value in (None, ""):
            continue
        if option == IF_EMPTY and stored.get(name) not in (None, ""):
            continue
        if value is None:
            stored.pop(name, None)
        else:
            stored[name] = value

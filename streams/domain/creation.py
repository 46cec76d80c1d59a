"""The creation record: did we create this contact, and with which status? One record for each address.

A contact that we created is deleted when its address leaves Orderwise; any other keeps everything but our fields. The status
that we created it with is nobody's refusal. Both follow from this record alone. In doubt a contact is not ours.

The record holds ``created_as`` (Dotdigital confirmed that we created the contact, and this status still explains what is seen)
and ``attempted_as`` (a call or an import that may have created it went out, and its outcome is not known).
Below ``-`` is None, ``U`` unsubscribed, ``S`` subscribed, and ``U/S`` created as U, attempted as S.

| record | attempted U | attempted S | seen unsubscribed | seen subscribed | seen suppressed | seen bounced | settled | gone |
|---|---|---|---|---|---|---|---|---|
| -/- | -/U | -/S | -/- | -/- | -/- | -/- | -/- | -/- |
| -/U | -/U | -/S | -/U | -/- | -/- | -/- | -/- | -/- |
| -/S | -/U | -/S | -/- | -/S | -/- | -/- | -/- | -/- |
| U/- | U/U | U/S | U/- | S/- | U/- | S/- | U/- | -/- |
| U/U | U/U | U/S | U/U | S/- | U/- | S/- | U/- | -/- |
| U/S | U/U | U/S | U/- | S/S | U/- | S/- | U/- | -/- |
| S/- | S/U | S/S | S/- | S/- | S/- | S/- | S/- | -/- |
| S/U | S/U | S/S | S/U | S/- | S/- | S/- | S/- | -/- |
| S/S | S/U | S/S | S/- | S/S | S/- | S/- | S/- | -/- |

*seen*: a reading, or a look, shows the contact. *settled*: a call found the contact there, and could see nothing of a creation.
*gone*: the contact was deleted, or another one has the address. That content is refused and parked changes nothing: the
attempt is withdrawn before, and an earlier one may still have created the contact.

Three events carry what they need: *confirmed* (Dotdigital says that we created it) replaces the record; *withdrawn* (nothing
was created) and *imported over* (an import found the contact there) put the attempt before them in the place of theirs.

Two topics feed the record, so a reading may come before the attempt that explains what it shows. The record keeps what was
``shown`` last, and takes no attempt that this contradicts: both orders end alike. Every event can be read twice without harm.
"""

import msgspec

from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED, folded_status, refused
from streams.messages.deliveries import CreatedAs


class Creation(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Whether and how we created a contact; see the table in the module's docstring."""

    created_as: CreatedAs | None = None
    attempted_as: CreatedAs | None = None
    shown: str | None = None

    @property
    def ours(self) -> CreatedAs | None:
        """The status with which we created the contact, or may have; None: somebody else did."""
        return self.created_as or self.attempted_as

    def explaining(self, status: str) -> CreatedAs | None:
        """How we created the contact that shows ``status``, as far as that still explains it."""
        return self.seen(status).ours

    def attempted(self, created_as: CreatedAs) -> "Creation":
        """A call or an import that creates the contact with that status is about to go out."""
        return self._with_attempt(created_as)

    def withdrawn(self, attempted_before: CreatedAs | None) -> "Creation":
        """It certainly created nothing; an earlier attempt may still have.

        The event carries the earlier attempt, and the record does not stack attempts: an event may be read twice.
        """
        return self._with_attempt(attempted_before)

    def seen(self, status: str) -> "Creation":
        """Dotdigital shows the contact with ``status``.

        An attempt counts on only while it explains the status; otherwise somebody else created the contact. A creation that
        was confirmed stays ours whatever is seen.
        """
        shown = folded_status(status)
        return Creation(after_status(self.created_as, status), self.attempted_as, shown)._with_attempt(self.attempted_as)

    @staticmethod
    def confirmed(created_as: CreatedAs | None) -> "Creation":
        """A call or a report says that we created the contact, and how."""
        return Creation(created_as)

    def settled(self, created_as: CreatedAs | None) -> "Creation":
        """A call found the contact there; ``created_as`` is how we had created it, as far as the call could see.

        A repeated call finds the contact that its first try created, so a creation once confirmed is not lost.
        """
        return Creation(created_as or self.created_as)

    def imported_over(self, attempted_before: CreatedAs | None) -> "Creation":
        """An import found the contact there, so it did not create it; an attempt before the import still may have."""
        return self._with_attempt(attempted_before)

    def _with_attempt(self, attempted_as: CreatedAs | None) -> "Creation":
        explains = self.shown in (None, attempted_as)
        return Creation(self.created_as, attempted_as if explains else None, self.shown)


NOT_OURS = Creation()
"""The record of a contact of which we know nothing, of one that is gone, and of one that took the place of another."""


def after_status(created_as: CreatedAs | None, status: str) -> CreatedAs | None:
    """How we created the contact, as far as that still explains its ``status``.

    Once somebody else has changed the status that we gave it, an unsubscribe from then on is theirs and not ours.
    """
    return SUBSCRIBED if created_as == UNSUBSCRIBED and not refused(status) else created_as

"""What a buyer publishes to an address: what it contributes to the contact there, or that the address is no longer its own.

Contents of :class:`~streams.messages.kinds.BuyerContributionChange`, in the wire format of :mod:`streams.messages.changes`.
"""

from streams.messages.changes import ConsentAnswer, Message, OrderStatus, Totals


class BuyerContribution(Message, frozen=True, tag=24):
    """What one buyer says about one address. ``person``: a contact row names it; else nobody was asked for consent.

    ``moved_to``: where those went who left it to others, if known, the latest last; ``left_at``: when the latest did, as the
    position of the contact row's version. ``came_from``: what one person alone left for it, with the same name, and when.
    ``answers``: of the contact rows from which ``opted`` follows. ``unreadable``: a row that gives it the address has another
    text there now, which nobody can read.
    """

    first_name: str | None
    last_name: str | None
    account: str | None
    trade: bool
    opted: bool | None
    totals: Totals
    last_number: str | None
    last_status: OrderStatus | None
    last_skus: str | None = None
    moved_to: tuple[str, ...] = ()
    left_at: bytes = b""
    person: bool = True
    came_from: tuple[tuple[str, bytes], ...] = ()
    answers: tuple[ConsentAnswer, ...] = ()
    unreadable: bool = False


class AddressLeft(Message, frozen=True, tag=25):
    """A buyer no longer has the address, or the contact row.

    ``moved_to`` (if known) and ``left_at``, as in :class:`BuyerContribution`; ``earlier``: where those went who had left it
    before. ``same_person``: nobody left it but that person, whose name is unchanged.
    """

    moved_to: str | None
    left_at: bytes = b""
    earlier: tuple[str, ...] = ()
    same_person: bool = False


class ContributionHeld(Message, frozen=True, tag=40):
    """A buyer has the address, but cannot be worked out: what the address shows stays. Opt-outs do not wait for that.

    ``unreadable``, as in :class:`BuyerContribution`. The name is for a contact that others have, and that has none of them.
    """

    opted: bool | None
    answers: tuple[ConsentAnswer, ...] = ()
    unreadable: bool = False
    first_name: str | None = None
    last_name: str | None = None


class ContributionExcluded(Message, frozen=True, tag=41):
    """A buyer has the address, but the mapping excludes one or the other: it shows nothing. Opt-outs count all the same.

    ``moved_to`` and ``left_at``, as in :class:`BuyerContribution`: of those who left it to others of the
    same buyer.
    """

    opted: bool | None
    moved_to: tuple[str, ...] = ()
    left_at: bytes = b""
    answers: tuple[ConsentAnswer, ...] = ()

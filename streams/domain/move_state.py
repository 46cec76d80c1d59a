"""What an address remembers of contacts that go along with their person: of its own to another address, and to it of others.

:mod:`streams.domain.moves` decides; only a mapping with ``contact.on_move: rename`` gives a contact's row such a state.
"""

from typing import TypeAlias

import msgspec

from streams.messages.moves import MoveQuery

Arrival: TypeAlias = tuple[str, bytes]
"""The address that a person left for this one, and when, as the position of the contact row's version."""


class MoveState(msgspec.Struct, array_like=True, gc=False):
    """One address as the former and as the new one of people.

    As the former one:

    * ``leaving``: the one person who had the address has left it with an unchanged name, so the contact may go along.
    * ``asked``: the addresses that ask for the contact, with what each asked last, until they are answered. ``granted``: that
      of them to which a call may give the contact, or has; only its outcome answers the question.
    * ``answered``: the contact goes along with no departure up to that position any more.

    As the new one:

    * ``arrivals``: those that were said last; ``pending``: those of them that are still to be asked for, in that order.
    * ``awaiting``: the first of ``pending`` was asked, for the content with the digest ``sent`` (empty: it is not wanted).

    ``until``: until then this address waits for the other one (epoch ms), and goes its own way afterwards; 0: it does not.
    """

    leaving: bool = False
    asked: dict[str, MoveQuery] = {}
    granted: str = ""
    answered: bytes = b""
    arrivals: tuple[Arrival, ...] = ()
    pending: tuple[Arrival, ...] = ()
    awaiting: bool = False
    sent: bytes = b""
    until: int = 0

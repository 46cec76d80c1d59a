"""Who left an address of a buyer, and where they went (``docs/contact-rules.md`` section 6)."""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from streams.messages.contributions import AddressLeft

_MOST_FORMER: Final = 3
"""Addresses that a person left in a row without being lost sight of."""


class Move(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where the person of one contact row is now (None: nobody knows), and when which addresses were left, by position.

    ``same``: those of them that the person left alone and with the name unchanged, the latest first.
    """

    left: dict[str, bytes]
    to: str | None
    same: tuple[str, ...] = ()


def still_same(before: Move | None, newly: Collection[str], left: Collection[str], *, unchanged: bool) -> tuple[str, ...]:
    """What :attr:`Move.same` is once the person has left ``newly``, too; ``left``: every address that stays left.

    Args:
        before: the move so far.
        newly: addresses that the row's new version no longer names, and that nobody else has.
        left: every address that the person has left and not come back to.
        unchanged: the name is there, and as it was.
    """
    former = before.same if before is not None else ()
    if not newly:
        # Of another name without another address nobody can say what it means.
        return tuple(address for address in former if address in left)
    found = (*newly, *former) if unchanged else ()
    return tuple(dict.fromkeys(address for address in found if address in left))[:_MOST_FORMER]


def destinations(moves: Mapping[int, Move]) -> dict[str, list[tuple[bytes, str]]]:
    """When people left an address, and where they went; who left last comes last."""
    found: dict[str, list[tuple[bytes, str]]] = {}
    for move in moves.values():
        if move.to is not None:
            for address, at in move.left.items():
                found.setdefault(address, []).append((at, move.to))
    return {address: sorted(went) for address, went in found.items()}


def origins(moves: Mapping[int, Move], here: Collection[str]) -> dict[str, tuple[tuple[str, bytes], ...]]:
    """By address that somebody has now, those that this one person left for it, each with its time; the latest first.

    ``here``: the addresses that the buyer has. Only those are named that the person alone left, with the name unchanged.
    """
    went = destinations(moves)
    found: dict[str, list[tuple[str, bytes]]] = {}
    for move in moves.values():
        if move.to is not None and move.to in here:
            alone = [address for address in move.same if address not in here and len(went[address]) == 1]
            found.setdefault(move.to, []).extend((address, move.left[address]) for address in alone)
    return {to: tuple(sorted(left, key=lambda one: one[1], reverse=True)) for to, left in found.items()}


def address_left(departures: list[tuple[bytes, str]], known: str | None, *, same_person: bool) -> AddressLeft:
    """What an address is sent that nobody of this buyer has any more; ``known``: where somebody went who is deleted since."""
    if not departures:
        return AddressLeft(known)
    *earlier, (left_at, to) = departures
    return AddressLeft(to, left_at, tuple(email for _, email in earlier), same_person)


def departed(departures: list[tuple[bytes, str]]) -> tuple[tuple[str, ...], bytes]:
    """Where those went who left an address that others still have, and when the last of them left."""
    return tuple(to for _, to in departures), departures[-1][0] if departures else b""

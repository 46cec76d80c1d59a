"""Who left an address of a buyer, and where they went (``docs/contact-rules.md`` section 6)."""

from collections.abc import Mapping

import msgspec

from streams.messages.changes import AddressLeft


class Move(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where the person of one contact row is now (None: nobody knows), and when which addresses were left, by position."""

    left: dict[str, bytes]
    to: str | None


def destinations(moves: Mapping[int, Move]) -> dict[str, list[tuple[bytes, str]]]:
    """When people left an address, and where they went; who left last comes last."""
    found: dict[str, list[tuple[bytes, str]]] = {}
    for move in moves.values():
        if move.to is not None:
            for address, at in move.left.items():
                found.setdefault(address, []).append((at, move.to))
    return {address: sorted(went) for address, went in found.items()}


def address_left(departures: list[tuple[bytes, str]], known: str | None) -> AddressLeft:
    """What an address is sent that nobody of this buyer has any more; ``known``: where somebody went who is deleted since."""
    if not departures:
        return AddressLeft(known)
    *earlier, (left_at, to) = departures
    return AddressLeft(to, left_at, tuple(email for _, email in earlier))


def departed(departures: list[tuple[bytes, str]]) -> tuple[tuple[str, ...], bytes]:
    """Where those went who left an address that others still have, and when the last of them left."""
    return tuple(to for _, to in departures), departures[-1][0] if departures else b""

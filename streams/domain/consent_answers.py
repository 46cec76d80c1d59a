"""Which word on consent each contact row of an address has, so that a row's own opt-out differs from a changed word list's.

The words are identified without the list, so a row that is read again by another one has the answer that it had. Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

from streams.capture import rows
from streams.domain.versioned import Versioned
from streams.messages.changes import ConsentAnswer

_MOST: Final = 32
_UNKNOWN: Final = ConsentAnswer(0, False)


def answers_by_address(contacts: Mapping[int, Versioned[rows.Contact]]) -> dict[str, tuple[ConsentAnswer, ...]]:
    """The answers at every address that the contact rows of a buyer name, by their keys."""
    found: dict[str, list[ConsentAnswer]] = {}
    for pk, cell in contacts.items():
        if cell.row is not None:
            for address in cell.row.named:
                found.setdefault(address, []).append(_answer(pk, cell.row))
    return {address: combined_answers(answers) for address, answers in found.items()}


def _answer(pk: int, row: rows.Contact) -> ConsentAnswer:
    if not row.word:
        return _UNKNOWN
    return ConsentAnswer(crc32(f"{pk}:{row.word}".encode()) or 1, row.opted is False)


def combined_answers(answers: Iterable[ConsentAnswer]) -> tuple[ConsentAnswer, ...]:
    """The answers in a stable order. Of many only some are kept, and that the rest is not known."""
    found = sorted({*answers})
    return tuple(found) if len(found) <= _MOST else tuple(sorted({_UNKNOWN, *found[: _MOST - 1]}))


def opts_out_anew(before: Iterable[ConsentAnswer], now: Iterable[ConsentAnswer]) -> bool:
    """Whether a row opts out by a word that it did not have at the reading before; in doubt it does not."""
    known = {answer.digest for answer in before}
    if not known or _UNKNOWN.digest in known:
        return False
    return any(answer.out and answer.digest not in known for answer in now)

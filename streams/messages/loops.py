"""The eight loops over topics: conversations between state rows that live under different keys.

Each is a request with its reply, a message back to where something came from, or one that a stage leaves to itself. They are
named here with why they exist and why they end; ``docs/architecture.md`` shows them.
"""

from dataclasses import dataclass
from typing import Final

from streams.messages.changes import ChangeKind
from streams.messages.contracts import Participant


@dataclass(frozen=True, slots=True)
class Step:
    """One record of a loop: a change of ``kind``, emitted by ``part`` into ``topic``."""

    part: Participant
    topic: str
    kind: ChangeKind


@dataclass(frozen=True, slots=True)
class Loop:
    """A conversation between state rows that live under different keys.

    Attributes:
        name: what is asked for.
        steps: its records, in order.
        why: why it exists, and what would be wrong without it.
        longest_chain: the longest chain of records that one captured row causes through it, and why it ends.
    """

    name: str
    steps: tuple[Step, ...]
    why: str
    longest_chain: str


LOOPS: Final = (
    Loop(
        "recipients",
        (
            Step(Participant.ORDERS, "buyers", ChangeKind.RECIPIENTS_QUERY),
            Step(Participant.BUYERS, "orders", ChangeKind.RECIPIENTS_REPLY),
            Step(Participant.ORDERS, "contacts", ChangeKind.RECIPIENTS_QUERY),
            Step(Participant.CONTACTS, "orders", ChangeKind.RECIPIENTS_REPLY),
        ),
        "Whom an account's order belongs to depends on the account's addresses, and if the one on the order is none of them, on"
        " whether anybody has it. Without the reply to every live order, records would stay with an address that the account"
        " has given up, or show to somebody who did not order.",
        "order row, query, reply, second query, reply, desired record: 5 after the row. A reply notes the question that it"
        " answers, so the order does not ask again. A row that changes addresses is answered once to each order that it"
        " concerns: those with an address that came or went, those whose ordering person has another one, and if the account's"
        " first address changed those without an address of their own.",
    ),
    Loop(
        "line ownership",
        (
            Step(Participant.ORDERS, "orders", ChangeKind.LINE_OWNERSHIP),
            Step(Participant.ORDERS, "orders", ChangeKind.LINE_QUERY),
            Step(Participant.ORDERS, "orders", ChangeKind.LINE_REPLY),
        ),
        "A credit note names the lines that it gives back, never their order. An index by line is the only common key; without"
        " it a credit note whose order was deleted, or has not arrived, would count.",
        "line row, ownership, reply, credited amount, and then as an order row: 8 after the row. A reply never asks: the index"
        " is written by lines and questions alone, and a question is asked once per line.",
    ),
    Loop(
        "credited lines",
        (
            Step(Participant.ORDERS, "orders", ChangeKind.CREDITED_AMOUNT),
            Step(Participant.ORDERS, "orders", ChangeKind.CREDITED_ORDER),
        ),
        "The record of an order shows its net total after refunds, which only its credit notes know. They follow up with the"
        " person whom the order belongs to, and take nothing off the buyer's spend for a cancelled one: only the order knows.",
        "total row of the credit note, credited amount, the order as it is, fact and credited amount anew, desired record: 5"
        " after the row, 9 when the order must ask first. The order replies once to a credit note, and then only when something"
        " that the reply contains has changed, which no credit note can change: so it ends there.",
    ),
    Loop(
        "resend",
        (
            Step(Participant.OUTBOX, "orders", ChangeKind.RESEND_REQUEST),
            Step(Participant.OUTBOX, "products", ChangeKind.RESEND_REQUEST),
            Step(Participant.ORDERS, "desired", ChangeKind.DESIRED_RECORD),
            Step(Participant.PRODUCTS, "desired", ChangeKind.DESIRED_CATALOGUE),
        ),
        "The outbox keeps the digest of a delivered record, not its content (state per contact stays small). When a"
        " contact comes back, or an import's outcome is unknown, the content is needed again, and only the join has it.",
        "a response of Dotdigital, request, desired record: 2 after the response. The record that is sent again has content, so"
        " it causes no further request.",
    ),
    Loop(
        "follow-up delivered",
        (Step(Participant.OUTBOX, "orders", ChangeKind.FOLLOW_UP_DELIVERED),),
        "A follow-up happens once per credit note, whoever its recipient is. The outbox knows tasks by recipient; only the"
        " credit note sees all of them, so it must learn that one was done before it names the next.",
        "a response of Dotdigital, follow-up delivered: 1 after the response. The credit note then withdraws what it had wanted"
        " from former recipients, and asks for nothing more.",
    ),
    Loop(
        "sweep",
        (
            Step(Participant.ORDERS, "orders", ChangeKind.SWEEP),
            Step(Participant.PRODUCTS, "products", ChangeKind.SWEEP),
            Step(Participant.BUYERS, "buyers", ChangeKind.RECIPIENTS_SWEEP),
            Step(Participant.CONTACTS, "contacts", ChangeKind.RECIPIENTS_SWEEP),
        ),
        "A status, variant, product, category or account may concern any number of rows. They are worked off in slices;"
        " what is left waits behind the changes that came meanwhile, so an urgent one is not held up, and survives a crash.",
        "one record for each slice. Every slice looks at rows behind those of the one before, so it ends with the last row.",
    ),
    Loop(
        "moves",
        (
            Step(Participant.OUTBOX, "desired", ChangeKind.MOVE_QUERY),
            Step(Participant.OUTBOX, "desired", ChangeKind.MOVE_ANSWER),
        ),
        "A contact goes along when its person changes address (`contact.on_move: rename`). The former address has the contact,"
        " the new one its content, and they may be in different partitions; without the question both would call Dotdigital.",
        "contact row, contribution, desired contact, question, call, answer: 6 after the row. An address asks about a departure"
        " once, again only if its content changes before the answer, and each question is answered; an answer asks for nothing"
        " but the next of at most eight former addresses.",
    ),
    Loop(
        "brake",
        (
            Step(Participant.OUTBOX, "desired", ChangeKind.REMOVAL_TALLY),
            Step(Participant.OUTBOX, "desired", ChangeKind.REMOVAL_QUERY),
            Step(Participant.BRAKE_CLOCK, "desired", ChangeKind.REMOVAL_TICK),
            Step(Participant.OUTBOX, "desired", ChangeKind.REMOVAL_RULING),
        ),
        "Whether removals are too many can only be seen over the whole account, and no partition sees more than its own. Each"
        " would let through its share of a mass removal.",
        "withdrawal, tally into partition 0, query to all, their tallies, tick after a minute, ruling: 5 after the row, however"
        " many removals there are. A ruling asks for nothing; rounds follow each other only while removals are held.",
    ),
)
"""The eight loops over topics."""

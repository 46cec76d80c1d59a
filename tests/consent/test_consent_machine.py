"""Consent only ever tightens by itself, whatever everybody does: the ERP, the person, the marketer, Dotdigital, operators and crashes.

``OWDD_CONSENT_STEPS=100000 pytest tests/consent`` runs as many steps; without it a few.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from streams.domain.consent import refused
from tests.consent.consent_harness import HOUSE, World

STEPS = int(os.environ.get("OWDD_CONSENT_STEPS", "2000"))
STEPS_A_RUN = 50
ENOUGH = 10_000
"""Steps in which some corrections certainly come about; in few there may be none."""
YEAR = 31_536_000.0
READING = 400
"""Seconds between two readings: more than clocks may differ by."""

A, B, C = EMAILS = ("a@example.com", "b@example.com", "c@example.com")
emails = st.sampled_from([A, A, A, B, B, C])
persons = st.sampled_from([1, 1, 1, 2])
accounts = st.sampled_from([None, None, 7, HOUSE])
"""One's own, one that several share, and the house account."""
answers = st.sampled_from([True, True, True, False, None])
calm = st.sampled_from([True, True, False])
"""Whether everything comes to rest after a step."""
replies = st.lists(st.sampled_from(["none", "lost_reply", "http_503", "http_429", "casing"]), min_size=1, max_size=4)
accidents = st.one_of(
    st.tuples(st.just("replies"), replies),
    st.tuples(st.just("dies at append"), st.integers(0, 2)),
    st.tuples(st.just("dies and reads again"), st.integers(0, 3)),
    st.tuples(st.just("dies before its outputs"), st.sampled_from(["buyers", "contacts", "outbox"])),
)

CORRECTIONS = Counter[str]()
"""Late opt-ins of contacts that were unsubscribed: those that were corrected, and those where somebody had left."""


class ConsentMachine(RuleBasedStateMachine):
    """Everybody acts at will; what we do to a contact is compared with what anybody has said.

    In some runs a later *in* corrects a creation: never of an address in ``left``, where somebody refused or was out since it
    was created. In some the contact table is ``loaded`` late, and until then nobody is created who has said nothing.

    ``erp``: where each person is, and what the ERP says of them. ``said``: what it said of an address since everything was last
    at rest; ``before``: what it said then. ``out``: of whom it says out, and who did not sign up since. ``refused``: addresses
    with a refusal in Dotdigital that must outlive the contact; ``known``: those that we have read. ``ours``: contacts that we
    created unsubscribed and have not seen otherwise since, so that an unsubscribe of the person cannot be told from our own
    status. ``moves``: who left an address last; ``came_from``: the way back; ``leavers``: all who did. ``ever``: addresses with a refusal or an
    opt-out once. ``erased``: who was erased; ``back``: who signed up since.
    """

    def __init__(self) -> None:
        super().__init__()
        self.erp: dict[int, tuple[str, bool | None]] = {}
        self.said: dict[str, set[bool | None]] = defaultdict(lambda: {None})
        self.refused: set[str] = set()
        self.known: set[str] = set()
        self.ours: set[str] = set()
        self.moves: dict[str, int] = {}
        self.came_from: dict[str, set[str]] = defaultdict(set)
        self.leavers: dict[str, set[int]] = defaultdict(set)
        self.ever: set[str] = set()
        self.erased: set[str] = set()
        self.back: set[str] = set()
        self.out: set[str] = set()
        self.before: dict[str, bool | None] = dict.fromkeys(EMAILS)
        self.left: set[str] = set()
        self.met: set[str] = set()
        self.loaded = True
        self.orders, self.ordered = 0, set[str]()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()

    # The ERP

    @initialize(days=st.sampled_from([0.0, 30.0]), corrects=st.booleans(), late=st.sampled_from([True, False, False]))
    def a_site_begins(self, days: float, corrects: bool, late: bool) -> None:
        self.world = World(days, corrects=corrects, wait=YEAR if late else 0.0)
        self.loaded = not late
        if corrects:
            self.world.read_back()
            self.world.consume_all()

    @precondition(lambda self: not self.loaded)
    @rule()
    def the_contact_table_is_loaded(self) -> None:
        self.world.contacts_loaded()
        self.loaded = True

    @rule(email=emails, calm=calm)
    def an_order_comes(self, email: str, calm: bool) -> None:
        self.orders += 1
        self.world.order(email, self.orders)
        self.ordered.add(email)
        self._rest(calm)

    @rule(person=persons, email=emails, account=accounts, opted=answers, calm=calm)
    def the_erp_writes_a_person(self, person: int, email: str, account: int | None, opted: bool | None, calm: bool) -> None:
        self._write(person, email, account, opted)
        self._rest(calm)

    @precondition(lambda self: self.world.corrects)
    @rule(person=persons, email=emails)
    def an_opt_in_comes_late(self, person: int, email: str) -> None:
        for opted in (None, True):
            self._write(person, email, None, opted)
            self._rest()
        was = self.world.status(email)
        for _ in range(2):
            self._read()
            self._rest()
        if was == "unsubscribed" and self._verdict(email) is True:
            granted = self.world.status(email) == "subscribed"
            CORRECTIONS["granted" if granted else "refused" if email in self.left | self.refused else "others"] += 1

    def _write(self, person: int, email: str, account: int | None, opted: bool | None) -> None:
        before = self.erp.get(person)
        self.erp[person] = (email, opted)
        self.world.row(person, email, opted=opted, account=account)
        self._record_statement(email)
        if before is not None and before[0] != email:
            self.leavers[before[0]].add(person)
            self._left(before[0], person)

    @precondition(lambda self: self.erp)
    @rule(data=st.data(), calm=calm)
    def the_erp_deletes_a_person(self, data: st.DataObject, calm: bool) -> None:
        person = data.draw(st.sampled_from(sorted(self.erp)))
        email, _ = self.erp.pop(person)
        self.world.row_gone(person)
        self._record_statement(email)
        self._rest(calm)

    def _record_statement(self, email: str) -> None:
        verdict = self._verdict(email)
        if verdict is not False or email in self.erased:
            self.out.discard(email)
        elif self.before[email] is not False:
            # What was said in between and never heard of is no other opt-out.
            self.out.add(email)
        if verdict is False:
            self.ever.add(email)
            self.left.add(email)
        self.said[email].add(verdict)

    def _verdict(self, email: str) -> bool | None:
        words = {opted for place, opted in self.erp.values() if place == email}
        return False if False in words else True if True in words else None

    def _left(self, email: str, person: int) -> None:
        self._record_statement(email)
        place, _ = self.erp[person]
        self.came_from[place] |= {email} | self.came_from[email]
        self.moves[email] = person

    # The pipeline

    @rule(what=st.sampled_from(["buyers", "contacts", "outbox", "all", "send", "send"]))
    def the_pipeline_goes_on(self, what: str) -> None:
        if what == "all":
            self.world.consume_all()
        elif what == "send":
            self._watched(self.world.send_next)
        else:
            self.world.consume(what)

    @rule()
    def dotdigital_is_read_back(self) -> None:
        self._read()

    def _read(self) -> None:
        self.world.clock.advance(READING)
        seen = {email for email in self.refused if refused(self.world.status(email) or "subscribed")}
        free = {email for email in EMAILS if not refused(self.world.status(email) or "unsubscribed")}
        there = {email for email in EMAILS if self.world.status(email) is not None}
        if self.world.read_back():
            self.met |= there
            self.known |= seen
            self.ours -= free

    @rule()
    def everything_comes_to_rest(self) -> None:
        self._rest()

    def _rest(self, calm: bool = True) -> None:
        if not calm:
            return
        self._watched(self.world.settle)
        self._carried()
        for email in EMAILS:
            status = self.world.status(email)
            assert status != "subscribed" or email not in self.refused, "an unsubscribe was undone"
            assert status not in ("subscribed", "pendingOptIn") or email not in self.out, "an opt-out was not passed on"
            assert status is None or email not in self.erased - self.back, "an erased person lives"
        self.said.clear()
        for email in EMAILS:
            self._record_statement(email)
            self.before[email] = self._verdict(email)
        self.moves.clear()

    def _carried(self) -> None:
        """Who left an address takes its refusal along."""
        for _ in EMAILS:
            for email, person in self.moves.items():
                place, _ = self.erp.get(person, (email, None))
                vacated = all(at != email for at, _ in self.erp.values())
                # Of an address that several have left nobody knows whose the refusal was.
                mine = len(self.leavers[email]) == 1 and not self.erased & {email, place}
                if vacated and mine and email in self.refused:
                    self.refused.add(place)

    def _watched(self, act: Callable[[], object]) -> None:
        """Do it, and compare every contact before and after."""
        before = {email: self._shown(email) for email in EMAILS}
        act()
        for email in EMAILS:
            self._judge(email, before[email], self._shown(email))
            if self.said[email] - {None} and self.world.status(email) is not None:
                self.met.add(email)

    def _shown(self, email: str) -> tuple[str | None, str | None]:
        """The status of the contact, and that of the one in the bin."""
        found = self.world.contact(email)
        return self.world.status(email), None if found is None or found.binned is None else found.email_status

    def _judge(self, email: str, before: tuple[str | None, str | None], after: tuple[str | None, str | None]) -> None:
        was, binned = before
        now, _ = after
        if was is not None and now is None and email in self.refused:
            # We deleted it, after a look at it.
            self.known.add(email)
        if now == was or now is None:
            return
        assert email not in self.erased, "an erased person was brought back"
        if was is None and now == "unsubscribed" and binned != "unsubscribed":
            self.ours.add(email)
            # Once it is in the bin, nobody can tell it from the person's.
            self.ever.add(email)
        if was is None:
            # A write to a contact that we know brings it back from the bin: that is Dotdigital's doing, and creates nobody.
            restored = binned is not None and email in self.met
            assert self.loaded or self.said[email] - {None} or restored, "created before the first load was over"
            if self._verdict(email) is not False and email not in self.refused:
                self.left.discard(email)
        if was is None and binned is None and now == "subscribed":
            assert True in self.said[email], "created subscribed without an opt-in"
            assert email not in self.refused & self.known, "created subscribed against a refusal"
        elif was is None and binned is not None and now != "unsubscribed":
            assert now == binned, "a status was changed in the bin"
        elif was == "unsubscribed" and now == "subscribed" and self.world.corrects:
            assert True in self.said[email], "subscribed without an opt-in"
            assert email not in self.left | self.refused, "subscribed against a refusal"
            # From now on a refusal can be told from the status that we gave.
            self.ours.discard(email)
        elif was is not None:
            assert now == "unsubscribed" and not refused(was), "an existing status was loosened"
            sources = {email} | self.came_from[email]
            assert False in self.said[email] or sources & self.ever, "nobody asked for the unsubscribe"

    # Dotdigital, its people and its users

    @rule(email=emails, status=st.sampled_from(["unsubscribed", "unsubscribed", "suppressed", "ispComplained"]), calm=calm)
    def somebody_refuses(self, email: str, status: str, calm: bool) -> None:
        was = self.world.status(email)
        if was is None or refused(was):
            return
        self._move(email, status)
        self.ever.add(email)
        self.left.add(email)
        if email not in self.ours or status != "unsubscribed":
            self.refused.add(email)
            self.known.discard(email)
        self._rest(calm)

    @rule(email=emails)
    def a_person_signs_up(self, email: str) -> None:
        if self.moves:
            self._rest()
        found = self.world.contact(email)
        if found is not None and found.email_status not in ("subscribed", "unsubscribed", "pendingOptIn"):
            return
        if found is None:
            self.world.box.store.create({"email": email})
        else:
            found.binned = None
        self._move(email, "subscribed")
        self.refused.discard(email)
        self.known.discard(email)
        self.out.discard(email)
        if self._verdict(email) is False:
            self.before[email] = False
        self.back.add(email)

    @rule(email=emails, status=st.sampled_from(["pendingOptIn", "softBounced", "hardBounced"]))
    def a_status_moves_that_nobody_refused(self, email: str, status: str) -> None:
        if self.world.status(email) == "subscribed":
            self._move(email, status)

    @rule(email=emails, into_bin=st.booleans())
    def a_marketer_deletes(self, email: str, into_bin: bool) -> None:
        found = self.world.contact(email)
        if found is None:
            return
        self.world.box.store.bin(found)
        if not into_bin:
            self.world.box.store.purge()
        self.ours.discard(email)
        if email not in self.known:
            # What Dotdigital no longer has and we never saw, nobody can keep.
            self.refused.discard(email)

    def _move(self, email: str, status: str) -> None:
        found = self.world.contact(email)
        assert found is not None
        self.world.clock.advance(2)
        found.updated = self.world.box.store.now()
        found.set_email_status(status, found.updated)

    # Operators and accidents

    @precondition(lambda self: not self.erased)
    @rule(email=emails)
    def a_person_is_erased(self, email: str) -> None:
        self._rest()
        self.world.erase(email)
        self.world.settle()
        assert self.world.status(email) is None
        self.erased.add(email)
        self.back.discard(email)
        for people in (self.refused, self.known, self.out):
            people.discard(email)

    @rule(accident=accidents)
    def an_accident_happens(self, accident: tuple[str, Any]) -> None:
        match accident:
            case "replies", list() as names:
                self.world.box.faults.update({"next": names})
            case "dies at append", int() as appends:
                self.world.appends_left = appends
            case "dies and reads again", int() as records:
                self.world.read_again(records)
            case "dies before its outputs", str() as stage:
                self.world.consume(stage, lose_outputs=True)

    @invariant()
    def nobody_has_two_contacts(self) -> None:
        addresses = [contact.email for contact in self.world.box.store]
        assert len(addresses) == len(set(addresses))


def test_consent_only_ever_tightens_by_itself() -> None:
    CORRECTIONS.clear()
    run_state_machine_as_test(
        ConsentMachine,
        settings=settings(
            deadline=None,
            max_examples=max(1, STEPS // STEPS_A_RUN),
            stateful_step_count=STEPS_A_RUN,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            print_blob=True,
        ),
    )
    if STEPS >= ENOUGH:
        assert CORRECTIONS["granted"] and CORRECTIONS["refused"], "what was tried says nothing of corrections"

"""Sequences that the walk of a delivery meets seldom by chance: unanswered calls, and imports that a call overtakes."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from streams.core.lanes import Lane
from streams.dotdigital.imports import ImportState
from tests.dispatch.delivery_walk import DeliveryWalk
from tests.dispatch.outbox_harness import A, B

OFTEN = st.sampled_from([True, True, False])
"""Whether everything comes to rest behind a rare sequence: what happens next would mostly cover up what went wrong in it."""


class DeliveryStates(DeliveryWalk):
    """The walk, with these sequences as steps of their own."""

    @precondition(lambda self: self.call is None and self.imported is None and not self.erased)
    @rule(content=st.sampled_from([A, B]), lost_with=st.sampled_from(["call", "worker", "nothing"]), resting=OFTEN)
    def go_back(self, content: bytes, lost_with: str, resting: bool) -> None:
        """What was delivered is wanted again, while nobody knows whether the account took something else meanwhile."""
        self.desire(content, None, Lane.LIVE)
        self.deliver()
        self.desire(B if content == A else A, None, Lane.LIVE)
        self.time(20)
        self.take()
        if self.call is None:
            return
        self.call_writes()
        if lost_with == "call":
            self.fail(0, applied=True)
        elif lost_with == "worker":
            self.take_over(applied=True, dies=True)
        self.desire(content, None, Lane.LIVE)
        self.come_to_rest(resting)

    @precondition(lambda self: self.call is None and self.imported is None and not self.erased)
    @rule(sure=st.integers(0, 9))
    def erase_twice(self, sure: int) -> None:
        """Another system brings the contact back while the call that deleted it is unanswered, and its erasure is asked for again."""
        if sure != 7:
            return
        self.desire(A, None, Lane.LIVE)
        self.deliver()
        self.erase(7)
        self.time(1)
        self.take()
        if self.call is not None:
            self.call_writes()
            self.held = A
            self.step("desired", lambda: self.outbox.feed(self.outbox.erased()))

    @precondition(lambda self: self.call is None and self.imported is None and not self.erased)
    @rule(
        content=st.sampled_from([A, B]),
        import_writes_last=st.booleans(),
        import_ends_first=st.booleans(),
        named=st.booleans(),
        wanted_again=st.sampled_from([None, 0, 1, 2]),
        at_once=st.booleans(),
        resting=OFTEN,
    )
    def cross(
        self,
        content: bytes,
        import_writes_last: bool,
        import_ends_first: bool,
        named: bool,
        wanted_again: int | None,
        at_once: bool,
        resting: bool,
    ) -> None:
        """An import and a call that overtakes it end in any order; what the import brought may be wanted again meanwhile."""
        # A contact that exists, and has not refused: only then a refusal overtakes.
        self.desire(B if content == A else A, True, Lane.LIVE)
        self.deliver()
        if self.call is None:
            self.import_(content)
        if self.imported is None:
            return
        self.overtake(B if content == A else A, False)
        if self.call is None:
            return
        for write in (self.call_writes, self.import_writes) if import_writes_last else (self.import_writes, self.call_writes):
            write()
        ends = (lambda: self.report(ImportState.DONE, named=named), self.succeed)
        for count, end in enumerate((*(ends if import_ends_first else reversed(ends)), lambda: None)):
            if wanted_again == count:
                # With the consent, too, that the import knew.
                self.desire(content, None, Lane.LIVE)
            end()
            if at_once:
                self.read_all()
        self.come_to_rest(resting)

"""Opt-outs that a changed word list of the mapping brings wait for the brake; those that a row says never do."""

import orjson
import pytest

from streams.messages.changes import ChangeKind, ConsentAnswer, DesiredContact
from streams.messages.removals import RemovalKind
from tests.dispatch.dispatch_harness import Site, on_site
from tests.dispatch.generations import begin, switch
from tests.dispatch.test_brake import FEW, LOTS, MANY, MINUTE, decide, shown

OLD, NEW, NEWER = 1, 2, 3
YES, MAYBE, NO = 11, 12, 13
"""Words of one contact row."""
ELSE = 24
"""A word of another contact row."""


def said(
    site: Site,
    email: str,
    opted: bool | None,
    words: int,
    name: str = "Ann",
    *,
    unread: bool = False,
    answers: tuple[int, ...] = (),
) -> None:
    """What Orderwise says of a contact, read by that word list; ``unread``: no contact row was.

    ``answers``: the words of its rows; all of them opt out, or none does.
    """
    found = tuple(ConsentAnswer(answer, opted is False and answer != 0) for answer in answers)
    wanted = DesiredContact(orjson.dumps({"FIRSTNAME": name}), opted, words=words, unread=unread, answers=found)
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, email, 0, wanted))


def out(site: Site, emails: list[str]) -> int:
    """How many of them are unsubscribed."""
    return sum(site.contact(email).email_status == "unsubscribed" for email in emails)


async def subscribed(site: Site) -> None:
    """Many contacts, all of them opted in by the old list."""
    for email in MANY:
        said(site, email, True, OLD)
    await site.quiet()
    assert not out(site, MANY)


@on_site(settings=MINUTE)
async def test_a_changed_list_that_opts_many_out_is_held_and_their_data_go_on(site: Site) -> None:
    await subscribed(site)
    for email in LOTS:
        said(site, email, False, NEW)
    await site.until(lambda: shown(site))
    await site.pass_(3600)
    assert not out(site, MANY)
    assert (shown(site)[RemovalKind.OPT_OUTS].count, shown(site)[RemovalKind.OPT_OUTS].present) == (len(LOTS), 29)
    said(site, LOTS[0], False, NEW, name="Anna")
    await site.until(lambda: site.contact(LOTS[0]).data["FIRSTNAME"] == "Anna")
    await site.pass_(300)
    assert not out(site, MANY), "the data do not let the opt-out slip through"
    decide(site, RemovalKind.OPT_OUTS, released=True)
    await site.until(lambda: out(site, LOTS) == len(LOTS))
    site.forget_calls()
    await site.pass_(300)
    assert not site.written(), "said once"


@on_site(settings=MINUTE)
async def test_few_go_by_themselves(site: Site) -> None:
    await subscribed(site)
    for email in FEW:
        said(site, email, False, NEW)
    await site.pass_(30)
    assert not out(site, FEW)
    await site.until(lambda: out(site, FEW) == len(FEW))


@on_site(settings=MINUTE)
async def test_what_a_row_says_is_never_held(site: Site) -> None:
    await subscribed(site)
    for email in LOTS:
        said(site, email, False, OLD)
    await site.pass_(10)
    assert out(site, LOTS) == len(LOTS)
    assert not shown(site)


@on_site(settings=MINUTE)
async def test_a_person_who_opts_out_while_the_list_is_held_waits_for_nobody(site: Site) -> None:
    await subscribed(site)
    for email in LOTS:
        said(site, email, False, NEW)
    said(site, MANY[40], True, NEW)
    await site.until(lambda: shown(site))
    said(site, MANY[40], False, NEW)
    await site.until(lambda: out(site, [MANY[40]]) == 1)
    assert not out(site, LOTS)


@on_site(settings=MINUTE)
async def test_a_list_that_is_put_right_discards_them_by_itself(site: Site) -> None:
    await subscribed(site)
    for email in LOTS:
        said(site, email, False, NEW)
    await site.until(lambda: shown(site))
    for email in LOTS:
        said(site, email, True, OLD)
    await site.until(lambda: not shown(site))
    await site.pass_(300)
    assert not out(site, MANY)


@on_site(settings=MINUTE)
async def test_what_a_person_discarded_stays_discarded_whatever_data_follow(site: Site) -> None:
    await subscribed(site)
    for email in LOTS:
        said(site, email, False, NEW)
    await site.until(lambda: shown(site))
    decide(site, RemovalKind.OPT_OUTS, released=False)
    await site.until(lambda: not shown(site))
    await site.restart()
    said(site, LOTS[0], False, NEW, name="Anna")
    await site.until(lambda: site.contact(LOTS[0]).data["FIRSTNAME"] == "Anna")
    await site.pass_(600)
    assert not out(site, MANY)


@on_site(settings=MINUTE)
async def test_the_first_reading_of_a_contact_is_no_change_of_the_list(site: Site) -> None:
    for email in LOTS:
        said(site, email, None, NEW)
    await site.quiet()
    for email in LOTS:
        said(site, email, True, NEW)
        site.contact(email).email_status = "subscribed"
    for email in LOTS:
        said(site, email, False, NEW)
    await site.until(lambda: out(site, LOTS) == len(LOTS))
    assert not shown(site)


@on_site(settings=MINUTE)
async def test_rows_that_say_nothing_of_consent_do_not_take_the_new_list(site: Site) -> None:
    await subscribed(site)
    for email in LOTS[::2]:
        said(site, email, None, NEW, unread=True)
    for email in LOTS[1::2]:
        site.publish(site.change(ChangeKind.DESIRED_CONTACT, email, 0, DesiredContact(None, None, held=True, words=NEW)))
    for email in LOTS:
        said(site, email, False, NEW)
    await site.until(lambda: shown(site))
    await site.pass_(300)
    assert not out(site, MANY)


@on_site(settings=MINUTE)
async def test_a_list_that_was_not_known_is_another_one(site: Site) -> None:
    for email in MANY:
        site.want(email, opted=None)
    await site.quiet()
    for email in MANY:
        site.contact(email).email_status = "subscribed"
    for email in LOTS:
        said(site, email, False, NEW)
    await site.until(lambda: shown(site))
    await site.pass_(300)
    assert not out(site, MANY)


@on_site(settings=MINUTE | {"consent_wait": 60.0})
async def test_an_order_before_the_contact_row_makes_its_first_reading_no_change_of_the_list(site: Site) -> None:
    for email in LOTS:
        said(site, email, None, NEW, unread=True)
    await site.until(lambda: all(map(site.held, LOTS)))
    await site.quiet()
    for email in LOTS:
        site.contact(email).email_status = "subscribed"
        said(site, email, False, NEW)
    await site.until(lambda: out(site, LOTS) == len(LOTS))
    assert not shown(site)


@on_site(settings=MINUTE)
async def test_a_contact_that_is_created_again_while_its_opt_out_is_held_is_unsubscribed(site: Site) -> None:
    await subscribed(site)
    for email in LOTS:
        said(site, email, False, NEW)
    await site.until(lambda: shown(site))
    site.box.store.bin(site.contact(LOTS[0]))
    site.box.store.purge()
    said(site, LOTS[0], False, NEW, name="Anna")
    await site.create_again(LOTS[0])
    await site.until(lambda: site.held(LOTS[0]))
    assert site.contact(LOTS[0]).email_status == "unsubscribed"
    await site.until(lambda: shown(site)[RemovalKind.OPT_OUTS].count == len(LOTS) - 1)
    assert not out(site, LOTS[1:])


@pytest.mark.parametrize(
    "statements",
    [[(True, OLD), (False, OLD)], [(True, NEW), (False, NEW)], [(None, NEW), (False, NEW)]],
)
@pytest.mark.parametrize("pause", [0.0, 30.0])
@on_site(settings=MINUTE)
async def test_who_opts_out_after_a_discarded_opt_out_was_taken_back_waits_for_nobody(
    site: Site, *, statements: list[tuple[bool | None, int]], pause: float
) -> None:
    await subscribed(site)
    for email in LOTS:
        said(site, email, False, NEW)
    await site.until(lambda: shown(site))
    decide(site, RemovalKind.OPT_OUTS, released=False)
    await site.until(lambda: not shown(site))
    for opted, words in statements:
        said(site, LOTS[0], opted, words)
        await site.pass_(pause)
    await site.pass_(10)
    assert out(site, LOTS[:1]) == 1 and not out(site, LOTS[1:])


async def discarded(site: Site, *answers: int) -> None:
    """A new list opts many out, and a person discards that."""
    for email in MANY:
        said(site, email, True, OLD, answers=answers)
    await site.quiet()
    for email in LOTS:
        said(site, email, False, NEW, answers=answers)
    await site.until(lambda: shown(site))
    decide(site, RemovalKind.OPT_OUTS, released=False)
    await site.until(lambda: not shown(site))


@pytest.mark.parametrize("waiting", [False, True])
@on_site(settings=MINUTE)
async def test_another_word_for_out_in_the_row_waits_for_nobody(site: Site, *, waiting: bool) -> None:
    await discarded(site, MAYBE)
    if waiting:
        said(site, MANY[40], False, NEW, answers=(MAYBE,))
        await site.pass_(1)
        said(site, MANY[40], False, NEW, answers=(NO,))
    await site.restart()
    said(site, LOTS[0], False, NEW, answers=(NO,))
    await site.pass_(10)
    assert out(site, LOTS) == 1 and site.contact(LOTS[0]).email_status == "unsubscribed"
    assert out(site, [MANY[40]]) == waiting
    site.forget_calls()
    await site.pass_(600)
    assert not site.written()


@on_site(settings=MINUTE)
async def test_another_row_of_the_address_that_opts_out_waits_for_nobody(site: Site) -> None:
    await discarded(site, MAYBE)
    said(site, LOTS[0], False, NEW, answers=(MAYBE, ELSE))
    await site.until(lambda: out(site, LOTS[:1]) == 1)
    assert not out(site, LOTS[1:])


@pytest.mark.parametrize("answers", [(MAYBE, ELSE), (MAYBE,), (ELSE,), (), (0, MAYBE)])
@on_site(settings=MINUTE)
async def test_the_same_words_read_again_stay_discarded(site: Site, *, answers: tuple[int, ...]) -> None:
    await discarded(site, MAYBE, ELSE)
    for _ in range(2):
        for email in LOTS:
            said(site, email, False, NEW, answers=answers)
        await site.pass_(600)
        await site.restart()
    assert not out(site, MANY)


@on_site(settings=MINUTE)
async def test_a_third_list_is_no_word_of_a_row(site: Site) -> None:
    await discarded(site, MAYBE)
    for email in LOTS:
        said(site, email, False, NEWER, answers=(NO,))
    await site.pass_(600)
    assert not out(site, MANY)
    said(site, LOTS[0], False, NEWER, answers=(MAYBE,))
    await site.until(lambda: out(site, LOTS[:1]) == 1)
    assert not out(site, LOTS[1:])


@on_site(settings=MINUTE)
async def test_another_word_for_out_counts_behind_a_rebuild_and_in_the_middle_of_it(site: Site) -> None:
    await discarded(site, MAYBE)
    await begin(site, 1)
    for email in MANY:
        said(site, email, email not in LOTS, NEW, answers=(NO if email == LOTS[0] else MAYBE,))
    await switch(site, 1, 1)
    await site.pass_(600)
    assert out(site, LOTS) == 1 and site.contact(LOTS[0]).email_status == "unsubscribed"
    said(site, LOTS[1], False, NEW, answers=(NO,))
    await site.until(lambda: out(site, LOTS) == 2)

"""The console's pages over HTTP: who may read them, what they show, what they never show, and what is logged."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape

import httpx
import pytest
import structlog

from tests.agents.pipeline import ANN, BOB
from tests.console.conftest import PASS, Console


@asynccontextmanager
async def signed_in(console: Console) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=console.url, timeout=60) as http:
        done = await http.post("/sign-in", data={"token": PASS})
        assert (done.status_code, done.headers["location"]) == (303, "/")
        yield http


def text_of(page: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def test_nobody_reads_a_page_without_signing_in(console: Console) -> None:
    async with httpx.AsyncClient(base_url=console.url) as http:
        for path in ("/", "/contact", "/set-aside", "/contact/0123456789abcdef"):
            refused = await http.get(path)
            assert (refused.status_code, refused.headers["location"]) == (303, "/sign-in")
        assert (await http.post("/contact", data={"q": ANN})).status_code == 303
        assert (await http.post("/sign-in", data={"token": "wrong"})).status_code == 403
        assert (await http.get("/", headers={"x-forwarded-email": "ann@shop.example"})).status_code == 303
        assert (await http.get("/", headers={"authorization": f"Bearer {PASS}"})).status_code == 303
        assert (await http.get("/health/live")).status_code == 200


async def test_today_says_whether_the_data_is_right_and_what_to_do(console: Console) -> None:
    async with signed_in(console) as http:
        page = await http.get("/")
    shown = text_of(page)
    assert page.status_code == 200
    assert "No: a part of the pipeline does not run" in shown
    assert "No worker runs dispatch: start one with 'owdd run --only dispatch'." in shown
    assert "Changes that could not be read: 1." in shown
    assert "Answers of Dotdigital 2 answers, at most" in shown
    assert "Changes from Orderwise none in 24 hours" in shown
    assert "Compared with what was delivered" in shown and "2 differences (fields_stale 2)." in shown
    assert ANN not in page.text


async def test_a_contact_is_found_by_post_and_its_page_is_named_by_a_hash(
    console: Console, caplog: pytest.LogCaptureFixture
) -> None:
    async with signed_in(console) as http:
        with structlog.testing.capture_logs() as logged, caplog.at_level(logging.DEBUG):
            for text in (ANN, "SO11", "ACC1"):
                found = await http.post("/contact", data={"q": text})
                assert found.status_code == 303
                address = found.headers["location"]
                assert re.fullmatch(r"/contact/[0-9a-f]{16}", address)
                page = await http.get(address)
                assert page.status_code == 200
    shown = text_of(page)
    for expected in (ANN, "Dotdigital has what Orderwise says", "order SO11", "OW_ORDER_COUNT", "all orders of all buyers"):
        assert expected in shown
    lines = [line for line in logged if line["event"] == "console page"]
    assert {line["page"] for line in lines} == {"/contact", "/contact/{hash:keyed_hash}"}
    assert all(re.fullmatch(r"[0-9a-f]{16}", line["by"]) for line in lines)
    assert ANN not in str(logged) + caplog.text


async def test_a_link_to_a_contact_outlives_the_console_that_made_it(console: Console) -> None:
    async with signed_in(console) as http:
        hash_ = (await http.post("/contact", data={"q": BOB})).headers["location"]
        # A console that knows no address yet asks the workers whose hash it is.
        fresh = await http.get(hash_)
        assert BOB in text_of(fresh)
        unknown = await http.get("/contact/0123456789abcdef")
        assert (unknown.status_code, "No contact of ours" in text_of(unknown)) == (404, True)


async def test_what_is_set_aside_can_be_filtered_and_has_its_meaning_and_command(console: Console) -> None:
    async with signed_in(console) as http:
        everything = text_of(await http.get("/set-aside"))
        assert "owdd dlq list --kind ingest --code bad_decimal" in everything
        assert "The order's status is not in the list of statuses yet." in everything
        configuration = text_of(await http.get("/set-aside?cause=configuration"))
        assert "bad_decimal" in configuration and "status_not_loaded" not in configuration
        assert "Nothing matches these filters" in text_of(await http.get("/set-aside?kind=removals"))
        assert "Nothing matches these filters" in text_of(await http.get("/set-aside?kind=dead+letter&age=1h"))


async def test_pages_load_nothing_from_elsewhere_and_are_not_kept(console: Console) -> None:
    async with signed_in(console) as http:
        for path in ("/", "/contact", "/set-aside", "/no-such-page"):
            page = await http.get(path)
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
            assert not re.search(r"(src|href|action)=\"(https?:)?//", page.text)
            assert "<script" not in page.text and " style=" not in page.text
        assert (await http.get("/static/console.css")).status_code == 200
        hostile = text_of(await http.post("/contact", data={"q": "<script>alert(1)</script>"}))
        assert "<script>alert(1)</script>" in hostile  # as text


async def test_signing_out_ends_the_session(console: Console) -> None:
    async with signed_in(console) as http:
        cookies = dict(http.cookies)
        assert (await http.post("/sign-out")).headers["location"] == "/sign-in"
    async with httpx.AsyncClient(base_url=console.url, cookies=cookies) as http:
        assert (await http.get("/")).status_code == 303


async def test_a_console_without_workers_says_what_it_cannot_show(console: Console) -> None:
    console.site.close_partition("contacts", ANN)
    async with signed_in(console) as http:
        page = await http.post("/contact", data={"q": ANN}, follow_redirects=True)
    assert (page.status_code, "no worker has the partition" in text_of(page)) == (503, True)

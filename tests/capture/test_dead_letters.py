"""Dead letters: every code is explained to the person on call, and the headers tell enough and not too much."""

from typing import Any

import pytest

from streams.core.errors import RecordError
from streams.messages.dead_letters import Coordinates, DeadLetter, keyed_hash, origin_headers, origin_of
from tests.capture.codes import HANDBOOK, explained, raised

LETTER = DeadLetter(
    at=Coordinates("ow.Orderwise.dbo.customer_contact", 3, 981),
    key=b'{"cc_email":"ann@bright.co.uk"}',
    value=b'{"after":{"cc_email":"ann@bright.co.uk"}}',
    error=RecordError("bad_text", "cc_email: not text"),
    stage="ingest",
)


class TestHandbook:
    def test_every_code_in_the_source_is_explained(self) -> None:
        assert set(raised()) - set(explained()) == set()

    def test_every_code_explained_is_in_the_source(self) -> None:
        assert set(explained()) - set(raised()) == set()

    def test_each_code_is_explained_once(self) -> None:
        assert sorted(explained()) == sorted(set(explained()))

    def test_it_has_something_to_do_for_every_code(self) -> None:
        rows = [row.strip("|").split("|") for row in HANDBOOK.read_text("utf-8").splitlines() if row.startswith("| `")]
        assert rows
        assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)

    def test_it_names_every_header(self) -> None:
        table = [line for line in HANDBOOK.read_text("utf-8").splitlines() if line.startswith("|")]
        named = {name.strip() for line in table for name in line.split("|")[1].split(",")}
        assert {name for name, _ in LETTER.headers(b"k")} <= named


class TestHeaders:
    def test_they_say_what_is_wrong_with_which_record(self) -> None:
        headers = dict(LETTER.headers(b"k"))
        assert headers.pop("key-hash")
        assert headers == {
            "code": b"bad_text",
            "reason": b"cc_email: not text",
            "stage": b"ingest",
            "topic": b"ow.Orderwise.dbo.customer_contact",
            "partition": b"3",
            "offset": b"981",
            "attempts": b"1",
        }

    def test_they_hold_nothing_of_the_record(self) -> None:
        assert b"ann@" not in b"".join(value for _, value in LETTER.headers(b"k"))

    def test_a_record_without_a_key_has_headers_too(self) -> None:
        letter = DeadLetter(LETTER.at, None, None, LETTER.error, "orders")
        assert dict(letter.headers(b"k"))["stage"] == b"orders"

    def test_coordinates_read_as_one_word(self) -> None:
        assert str(LETTER.at) == "ow.Orderwise.dbo.customer_contact/3@981"


class TestOrigin:
    HERE = Coordinates("owdd.retries", 1, 7)

    def test_what_is_tried_again_says_where_it_stood_first_and_how_often_it_failed(self) -> None:
        assert origin_of(origin_headers(LETTER.at, 2), self.HERE) == (LETTER.at, 2)

    @pytest.mark.parametrize("headers", [None, [], [("topic", b"\xff")], [("attempts", None)]])
    def test_any_other_record_stands_where_it_stands_and_has_not_failed(self, headers: Any) -> None:
        assert origin_of(headers, self.HERE) == (self.HERE, 0)


class TestKeyedHash:
    def test_one_key_has_one_hash(self) -> None:
        assert keyed_hash(b"ann", b"k") == keyed_hash(b"ann", b"k")

    @pytest.mark.parametrize(("data", "hash_key"), [(b"bob", b"k"), (b"ann", b"other")])
    def test_another_key_or_another_secret_has_another(self, data: bytes, hash_key: bytes) -> None:
        assert keyed_hash(data, hash_key) != keyed_hash(b"ann", b"k")

    @pytest.mark.parametrize("hash_key", [b"", b"k" * 64, b"k" * 65, b"k" * 1000])
    def test_a_secret_may_have_any_length(self, hash_key: bytes) -> None:
        assert len(keyed_hash(b"ann", hash_key)) == 16

"""E-mail fields: what people type into them, and whose address that is for certain."""

import json
import re
from pathlib import Path

import pytest
from email_validator import validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.capture import addresses
from streams.capture.addresses import AddressField, address_field, mentioned
from streams.core.errors import RecordError

CASES = json.loads(Path(__file__).with_name("addresses.json").read_bytes())
UNREADABLE = AddressField(unreadable=True)


def found(field: object) -> list[str]:
    """The addresses in a field that is readable or empty."""
    read = address_field(field, "column")
    assert not read.unreadable
    return list(read.found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["field"]))
def test_real_fields(case: dict[str, object]) -> None:
    read = address_field(case["field"], "column")
    assert list(read.found) == case["right"]
    assert read.unreadable == (not case["right"])


class TestFields:
    @pytest.mark.parametrize("field", [None, "", "  ", "\u200b", "\ufeff \u00a0", "\0\0", " \t\r\n\u3000"])
    def test_a_field_may_be_empty(self, field: str | None) -> None:
        assert address_field(field, "column").empty

    @pytest.mark.parametrize(
        "field", ["none", "n/a", "-", "@", "a@b", "0117 496 0000", "TBC", "; ;", "<>", "email:", "mailto:"]
    )
    def test_text_without_an_address_is_not_empty(self, field: str) -> None:
        assert address_field(field, "column") == UNREADABLE

    @pytest.mark.parametrize("field", ["n/a", " N/A ", "N/A.", "(n/a)", "NO  E-Mail", "no\u00a0e-mail", "\u200bn/a", "ｎ／ａ"])
    def test_a_site_may_say_which_texts_mean_that_there_is_none(self, field: str) -> None:
        words = frozenset({"n/a", "no e-mail"})
        assert address_field(field, "column", words).empty
        assert address_field(field, "column") == UNREADABLE

    @pytest.mark.parametrize("field", ["n/a; ann@", "none", "n / a", "no e-mail, ask", "n/a n/a"])
    def test_other_texts_do_not(self, field: str) -> None:
        assert address_field(field, "column", frozenset({"n/a", "no e-mail"})) == UNREADABLE

    def test_an_address_is_no_such_text(self) -> None:
        assert found("none@example.com") == list(address_field("none@example.com", "column", frozenset({"none"})).found)

    @pytest.mark.parametrize(
        "field",
        [
            "ann@bright.co.uk",
            "  Ann@Bright.CO.UK ",
            "<ann@bright.co.uk>",
            '"ann@bright.co.uk"',
            "'ann@bright.co.uk'",
            "'ann@bright.co.uk",
            "\u201cann@bright.co.uk\u201d",
            "\u00abann@bright.co.uk\u00bb",
            "(ann@bright.co.uk)",
            "[ann@bright.co.uk]",
            "ann@bright.co.uk.",
            "<ann@bright.co.uk>.",
            "ann@bright.co.uk;",
            ", ann@bright.co.uk",
            "mailto:ann@bright.co.uk",
            "<MAILTO:ann@bright.co.uk>",
            "mailto:ann%40bright.co.uk?subject=a%20b&body=c",
            "Ann Lee <ann@bright.co.uk>",
            "Lee, Ann <ann@bright.co.uk>",
            '"Lee, Ann" <ann@bright.co.uk>',
            '"Lee; Ann" <ann@bright.co.uk>',
            "Ann Lee <mailto:ann@bright.co.uk>",
            "Ann Lee [mailto:ann@bright.co.uk]",
            "Ann Lee (ann@bright.co.uk)",
            "ann@bright.co.uk <ann@bright.co.uk>",
            "ann@bright.co.uk<mailto:ann@bright.co.uk>",
            "ann@bright.co.uk#mailto:ann@bright.co.uk#",
            "ann@bright.co.uk (accounts)",
            "(accounts) ann@bright.co.uk",
            "ann@bright.co.uk; ANN@bright.co.uk",
            "E-mail address: ann@bright.co.uk",
            "EMAIL - ann@bright.co.uk",
            "email=ann@bright.co.uk",
            "e:ann@bright.co.uk",
            "Accounts e-mail (2): Ann Lee <ann@bright.co.uk>",
            "smtp:ann@bright.co.uk",
            "\uff41\uff4e\uff4e\uff20\uff42\uff52\uff49\uff47\uff48\uff54\uff0e\uff43\uff4f\uff0e\uff55\uff4b",
            "ann\ufe6bbright.co.uk",
        ],
    )
    def test_an_address_is_found_in_what_stands_around_it(self, field: str) -> None:
        assert found(field) == ["ann@bright.co.uk"]

    @pytest.mark.parametrize(
        "invisible",
        "\0\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2069\u2800\u3164\ufe0f\ufeff",
    )
    @pytest.mark.parametrize("place", range(len("ann@bright.co.uk") + 1))
    def test_what_nobody_sees_is_not_there(self, invisible: str, place: int) -> None:
        assert found("ann@bright.co.uk"[:place] + invisible + "ann@bright.co.uk"[place:]) == ["ann@bright.co.uk"]

    @pytest.mark.parametrize(
        "separator",
        [
            ";",
            ",",
            " ",
            "; ",
            " ,\r\n",
            "\t",
            "\u00a0",
            ";;;",
            "/",
            " / ",
            "|",
            "\n",
            " and ",
            " & ",
            " or ",
            "; email: ",
            ", <",
        ],
    )
    def test_several_are_found_in_order(self, separator: str) -> None:
        assert found(separator.join(["zoe@bright.co.uk", "ann@bright.co.uk"])) == ["zoe@bright.co.uk", "ann@bright.co.uk"]

    def test_persons_with_names_are_found_in_order(self) -> None:
        assert found("Roe, Zoe <zoe@bright.co.uk>, Lee, Ann <ann@bright.co.uk>") == ["zoe@bright.co.uk", "ann@bright.co.uk"]
        assert found('"Roe; Zoe" <zoe@bright.co.uk>; ann@bright.co.uk') == ["zoe@bright.co.uk", "ann@bright.co.uk"]
        assert found("mailto:zoe@bright.co.uk,ann@bright.co.uk") == ["zoe@bright.co.uk", "ann@bright.co.uk"]

    @pytest.mark.parametrize(
        ("field", "address"),
        [
            ("zo\u00eb@bright.co.uk", "zo\u00eb@bright.co.uk"),
            ("zoe\u0308@bright.co.uk", "zo\u00eb@bright.co.uk"),
            ("ann@b\u00fccher.example.com", "ann@b\u00fccher.example.com"),
            ("ann@xn--bcher-kva.com", "ann@b\u00fccher.com"),
            ("ANN@XN--BCHER-KVA.COM", "ann@b\u00fccher.com"),
            ("o'brien@bright.ie", "o'brien@bright.ie"),
            ("'o'brien@bright.ie'", "o'brien@bright.ie"),
            ("ann.lee+shop@bright.co", "ann.lee+shop@bright.co"),
            ("r&d@bright.co", "r&d@bright.co"),
        ],
    )
    def test_rare_addresses_are_addresses_too(self, field: str, address: str) -> None:
        assert found(field) == [address]


class TestUnreadable:
    @pytest.mark.parametrize(
        "field",
        [
            "ann@bright.co.uk; call first",
            "ann@bright.co.uk DO NOT USE",
            "old: ann@bright.co.uk",
            "do not use: ann@bright.co.uk",
            "01632 960001 / ann@bright.co.uk",
            "Ann Lee ann@bright.co.uk",
            "ann@bright.co.uk Ann Lee",
            "<ann@bright.co.uk> is gone",
            "mailto:ann@bright.co.uk?cc=zoe@bright.co.uk",
            "ann@bright.co.uk (zoe@bright.co.uk is her deputy)",
        ],
    )
    def test_one_piece_that_is_no_address_spoils_the_field(self, field: str) -> None:
        assert address_field(field, "column") == UNREADABLE

    @pytest.mark.parametrize("between", list(" ,;:/\\|()<\t\n\u00a0\u2028\u0085\u2019\u2013\x92\ufffd%?*`{"))
    def test_a_slip_inside_an_address_never_gives_its_other_half(self, between: str) -> None:
        for field in (f"jo{between}smith@firm.co.uk", f"jo.smith@firm{between}co.uk", f"jo.smith@firm.co{between}uk"):
            read = address_field(field, "column")
            # "jo<smith@firm.co.uk" is all that stands between brackets in "jo<smith@firm.co.uk>".
            assert read == UNREADABLE, field

    @pytest.mark.parametrize(
        "field",
        [
            "a@x.comb@y.com",
            "a@x.com-b@y.com",
            "a@x.com\\nb@y.com",
            "a@x.com\u200bb@y.com",
            "a@x.com.b@y.com",
            "a@@x.com",
            ".a@x.com",
            "a.@x.com",
            "a..b@x.com",
            "a@x..com",
            "a@x.com...",
            "a@x.com\u2026",
            "a@-x.com",
            "a@x_y.com",
            "a@localhost",
            "a@192.168.0.1",
            "a@[192.168.0.1]",
            '"a b"@x.com',
            "'a'@x.com",
            "'o'neil@x.com",
            "a at x.com",
            "a@x.com&gt;",
            "&lt;a@x.com",
            "<br>a@x.com",
            "a@x.com</a>",
            "%20a@x.com",
            "{{first}}@x.com",
            "=a@x.com",
            "-a@x.com",
            "sales/info@x.com",
            "www.x.com/a@x.com",
            "a\u00b2@x.com",
            "\ufb01n@x.com",
            "a\U0001f600@x.com",
            "=?utf-8?q?a=40x.com?=",
            "a@x",
            "a@.com",
        ],
    )
    def test_what_is_not_one_address_for_certain_is_none(self, field: str) -> None:
        assert address_field(field, "column") == UNREADABLE

    @pytest.mark.parametrize("field", [5, True, ["ann@bright.co.uk"], {}], ids=repr)
    def test_what_is_no_text_is_refused(self, field: object) -> None:
        with pytest.raises(RecordError, match=r"^bad_text: column: "):
            address_field(field, "column")

    def test_an_endless_field_is_not_read_in_part(self) -> None:
        assert address_field("ann@bright.co.uk;" * 300, "column") == UNREADABLE

    @pytest.mark.parametrize("hostile", ["<", "(", '"', "e:", "a;", " ", "@", "a@x.com;", "'", "\u200b"])
    def test_no_field_takes_long_or_ends_the_worker(self, hostile: str) -> None:
        address_field(hostile * (4000 // len(hostile)), "column")


class TestMentions:
    def test_every_address_counts_whatever_stands_around_it(self) -> None:
        text = "Ann (old: ann@x.com), 'bob@y.com' see mailto:c@z.com?cc=d@z.com; jo smith@firm.co.uk/e@x.com"
        assert mentioned(text) == {"ann@x.com", "bob@y.com", "c@z.com", "d@z.com", "smith@firm.co.uk", "e@x.com"}

    def test_a_text_may_mention_nobody(self) -> None:
        assert mentioned("Ann Lee @ work") == frozenset()


_LABEL = st.text("az09-_", min_size=1, max_size=8) | st.sampled_from(["a" * 61, "a" * 62, "a" * 63, "xn--a", "a--b", "--"])
_LOCAL = st.lists(st.text("az09_+-", min_size=1, max_size=6) | st.just("a" * 63), min_size=1, max_size=3).map(".".join)
_ADDRESS = st.builds(
    lambda local, labels, end: f"{local}@{'.'.join(labels)}.{end}",
    _LOCAL,
    st.lists(_LABEL, min_size=1, max_size=5),
    st.sampled_from(["com", "net", "org", "uk", "co.uk", "example", "test", "co"]),
)


@given(_ADDRESS)
@settings(max_examples=300, deadline=None)
@example("a" * 64 + "@" + "b." * 92 + "bb.com")
@example("a" * 64 + "@" + "b." * 93 + "b.com")
@example("a" * 65 + "@b.com")
@example("a@" + "b" * 63 + ".com")
@example("a@b.com")
def test_the_fast_road_takes_only_what_the_slow_one_leaves_unchanged(address: str) -> None:
    if addresses._SIMPLE_ADDRESS.fullmatch(address):
        assert validate_email(address, check_deliverability=False).normalized.lower() == address


@given(st.lists(_ADDRESS, max_size=4), st.sampled_from([";", ", ", " "]))
@settings(deadline=None)
def test_every_address_found_is_one_that_would_be_found_again(pieces: list[str], separator: str) -> None:
    read = address_field(separator.join(pieces), "column").found
    assert address_field(";".join(read), "column").found == read


_PIECES = st.sampled_from(
    ["ann@x.com", "jo", "smith@firm.co.uk", "Ann Lee", "@", "<", ">", '"', "'", "(", ")", "mailto:", "e-mail:"]
)
_GLUE = st.sampled_from(["", " ", ",", ";", "/", ".", ":", "\n", "#", " - ", "\u200b", "\u2019"])


@given(st.lists(st.tuples(_PIECES, _GLUE), min_size=1, max_size=6))
@settings(deadline=None, max_examples=500)
def test_no_field_yields_an_address_that_is_not_written_in_it(parts: list[tuple[str, str]]) -> None:
    field = "".join(piece + glue for piece, glue in parts)
    shown = field.replace("\u200b", "").lower()
    for address in address_field(field, "column").found:
        assert re.search(rf"(?<!\w){re.escape(address)}(?!\w)", shown), "an address is whole, or it is somebody else's"


@given(st.text(max_size=60))
@settings(deadline=None)
def test_no_field_is_beyond_reading(field: str) -> None:
    assert all("@" in address for address in address_field(field + "@" + field, "column").found)

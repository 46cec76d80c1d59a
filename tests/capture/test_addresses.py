"""E-mail fields: what people type into them, and the addresses that are in there."""

import pytest
from email_validator import validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.capture import values
from streams.core.errors import RecordError


def found(field: object) -> list[str]:
    """The addresses in a field."""
    return list(values.addresses(field, "column"))


class TestFields:
    @pytest.mark.parametrize("field", [None, "", "  ", "none", "n/a", "@", "a@b", "0117 496 0000", "TBC"])
    def test_a_field_may_hold_no_address(self, field: str | None) -> None:
        assert found(field) == []

    @pytest.mark.parametrize(
        "field",
        [
            "ann@bright.co.uk",
            "  Ann@Bright.CO.UK ",
            "<ann@bright.co.uk>",
            '"ann@bright.co.uk"',
            "'ann@bright.co.uk'",
            "(ann@bright.co.uk)",
            "ann@bright.co.uk.",
            "<ann@bright.co.uk>.",
            "mailto:ann@bright.co.uk",
            "<MAILTO:ann@bright.co.uk>",
            "Ann Lee <ann@bright.co.uk>",
            "ann@bright.co.uk (accounts)",
            "ann@bright.co.uk; ANN@bright.co.uk",
        ],
    )
    def test_an_address_is_found_in_what_stands_around_it(self, field: str) -> None:
        assert found(field) == ["ann@bright.co.uk"]

    @pytest.mark.parametrize("separator", [";", ",", " ", "; ", " ,\r\n", "\t", "\u00a0", ";;;"])
    def test_several_are_found_in_order(self, separator: str) -> None:
        assert found(separator.join(["zoe@bright.co.uk", "ann@bright.co.uk"])) == ["zoe@bright.co.uk", "ann@bright.co.uk"]

    def test_what_is_no_address_is_ignored(self) -> None:
        assert found("ann@bright.co.uk; call first; bob@bright; ann@@bright.co.uk; .x@bright.co.uk") == ["ann@bright.co.uk"]

    @pytest.mark.parametrize(
        ("field", "address"),
        [
            ("zoë@bright.co.uk", "zoë@bright.co.uk"),
            ("ann@bücher.example.com", "ann@bücher.example.com"),
            ("ann@xn--bcher-kva.com", "ann@bücher.com"),
            ("o'brien@bright.ie", "o'brien@bright.ie"),
            ("ann.lee+shop@bright.co", "ann.lee+shop@bright.co"),
        ],
    )
    def test_rare_addresses_are_addresses_too(self, field: str, address: str) -> None:
        assert found(field) == [address]

    @pytest.mark.parametrize("field", [5, True, ["ann@bright.co.uk"], {}], ids=repr)
    def test_what_is_no_text_is_refused(self, field: object) -> None:
        with pytest.raises(RecordError, match=r"^bad_text: column: "):
            found(field)

    @pytest.mark.parametrize("length", range(3980, 4010))
    def test_an_endless_field_never_yields_half_an_address(self, length: int) -> None:
        assert found("x" * (length - 21) + ";ann@bright.company.com") in ([], ["ann@bright.company.com"])

    def test_an_endless_field_yields_the_addresses_at_its_beginning(self) -> None:
        assert found("ann@bright.co.uk;" + "x" * 1_000_000) == ["ann@bright.co.uk"]


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
    if values._SIMPLE_ADDRESS.fullmatch(address):
        assert validate_email(address, check_deliverability=False).normalized.lower() == address


@given(st.lists(_ADDRESS, max_size=4), st.sampled_from([";", ", ", " "]))
@settings(deadline=None)
def test_every_address_found_is_one_that_would_be_found_again(pieces: list[str], separator: str) -> None:
    addresses = found(separator.join(pieces))
    assert found(";".join(addresses)) == addresses


@given(st.text(max_size=60))
@settings(deadline=None)
def test_no_field_is_beyond_reading(field: str) -> None:
    assert all("@" in address for address in found(field + "@" + field))

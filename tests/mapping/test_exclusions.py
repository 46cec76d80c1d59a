"""Exclusions as they are written in the mapping: what they match, and what would match too much."""

import pytest
from pydantic import ValidationError

from streams.capture.addresses import address_field
from streams.mapping import load_mapping
from streams.mapping.exclusions import Exclusions
from testkit.oracle.exclusions import excluded

ADDRESSES = {
    "x7k2@marketplace.amazon.co.uk": True,
    "a.b@members.ebay.com": True,
    "noreply@shop.example": True,
    "no-reply@shop.example": True,
    "ann.noreply@shop.example": False,
    "ann@amazon.co.uk": False,
    "ann@marketplace.example": False,
    "ann@privaterelay.appleid.com": False,
}


@pytest.mark.parametrize(("address", "is_excluded"), ADDRESSES.items())
def test_relays_and_robots_are_excluded_by_default(address: str, is_excluded: bool) -> None:
    assert load_mapping().exclude.excludes(address) is Exclusions().excludes(address) is is_excluded
    assert excluded(address, load_mapping()) is is_excluded


@pytest.mark.parametrize(
    ("address", "is_excluded"),
    [
        ("ann@example.com", True),
        ("bob@example.com", False),
        ("ann@rival.example", True),
        ("ann@mail.rival.example", True),
        ("ann@arrival.example", False),
        ("test+7@shop.example", True),
        ("test7@shop.example", False),
        ("noreply@shop.example", False),
    ],
)
def test_addresses_domains_and_patterns(address: str, is_excluded: bool) -> None:
    rule = Exclusions.model_validate(
        {"addresses": [" Ann@Example.com "], "domains": ["Rival.example"], "patterns": ["test+*@shop.example"]}
    )
    assert rule.excludes(address) is is_excluded
    assert excluded(address, load_mapping().model_copy(update={"exclude": rule})) is is_excluded


@pytest.mark.parametrize(
    ("written", "field", "is_excluded"),
    [
        ({"domains": [".Rival.Example"]}, "ann@mail.rival.example", True),
        ({"domains": ["rival.example."]}, "ann@rival.example", True),
        ({"domains": ["xn--mnchen-3ya.de"]}, "ann@München.de", True),
        ({"domains": ["MÜNCHEN.de"]}, "ann@xn--mnchen-3ya.de", True),
        ({"domains": ["straße.de"]}, "ann@straße.de", True),
        ({"domains": ["straße.de"]}, "ann@strasse.de", False),
        ({"addresses": ["Straße@Example.com"]}, "straße@example.com", True),
        ({"addresses": ["straße@example.com"]}, "strasse@example.com", False),
        ({"patterns": ["*@shop.xn--mnchen-3ya.*"]}, "ann@shop.münchen.de", True),
    ],
)
def test_a_rule_has_the_form_of_captured_addresses(written: dict[str, list[str]], field: str, is_excluded: bool) -> None:
    rule = Exclusions.model_validate({"patterns": []} | written)
    (address,) = address_field(field, "cc_email", frozenset()).found
    assert rule.excludes(address) is is_excluded
    assert excluded(address, load_mapping().model_copy(update={"exclude": rule})) is is_excluded


def test_without_any_rule_nobody_is_excluded() -> None:
    assert not Exclusions(patterns=frozenset()).excludes("noreply@example.com")


@pytest.mark.parametrize(
    "wrong", [{"addresses": ["example.com"]}, {"domains": ["*@example.com"]}, {"domains": ["."]}, {"patterns": ["*@*"]}]
)
def test_what_would_match_something_else_is_refused(wrong: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError, match=r"exclude\."):
        Exclusions.model_validate(wrong)


@pytest.mark.parametrize(("key", "needed"), [("customer_types", "customer.type"), ("channels", "order.header.channel")])
def test_a_value_needs_its_column(key: str, needed: str) -> None:
    mapping = load_mapping().model_dump(by_alias=True)
    with pytest.raises(ValidationError, match=needed):
        type(load_mapping()).model_validate(mapping | {"exclude": {key: ["web"]}})

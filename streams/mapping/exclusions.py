"""Exclusions: who is no contact of ours, whatever the rows contain (``docs/contact-rules.md``, Exclusions)."""

import re
import unicodedata
from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from streams.mapping.parts import MappingPart, texts

RELAYS_AND_ROBOTS = frozenset(
    {
        # A marketplace's relay addresses: it forbids marketing to its buyers, and each order may have another one.
        "*@marketplace.amazon.*",
        "*@members.ebay.*",
        "*@relay.walmart.com",
        # Nobody reads these.
        "no-reply@*",
        "noreply@*",
        "no_reply@*",
        "donotreply@*",
        "do-not-reply@*",
    }
)

_Pattern = Annotated[str, StringConstraints(pattern=r"^[^\s]+$")]


def _normalised(value: object) -> object:
    """Before validation: each item in the form of captured addresses (``docs/contact-rules.md`` section 1.1).

    Not case-folded: that would make another address of one with an ``ß``.
    """
    if isinstance(value, list | tuple | set | frozenset):
        return [_normal(item) if isinstance(item, str) else item for item in value]
    return value


def _normal(text: str) -> str:
    local, at, domain = unicodedata.normalize("NFC", text.strip().lower()).rpartition("@")
    # Some write ".example.com" for a domain with its subdomains.
    return f"{local}{at}{'.'.join(_label(label) for label in domain.strip('.').split('.'))}"


def _label(label: str) -> str:
    """A part of a domain in Unicode, also if it is written in Punycode."""
    if not label.startswith("xn--"):
        return label
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode")
    except UnicodeError:
        raise ValueError(f"{label!r} is no part of a domain") from None


_Addresses = BeforeValidator(_normalised)


class Exclusions(MappingPart):
    """Addresses, accounts and orders that the rules read as if they were not there.

    ``domains`` include their subdomains; in ``patterns`` a ``*`` stands for any text. ``accounts``: ids of customers;
    ``customer_types`` and ``channels``: values of *customer.type* and *order.header.channel*. ``shared_by``: an address of so
    many accounts is nobody's.
    """

    addresses: Annotated[frozenset[str], _Addresses] = frozenset()
    domains: Annotated[frozenset[str], _Addresses] = frozenset()
    patterns: Annotated[frozenset[_Pattern], _Addresses] = RELAYS_AND_ROBOTS
    accounts: frozenset[int] = frozenset()
    customer_types: Annotated[frozenset[str], BeforeValidator(texts)] = frozenset()
    channels: Annotated[frozenset[str], BeforeValidator(texts)] = frozenset()
    shared_by: Annotated[int, Field(ge=2, le=500)] = 5

    @model_validator(mode="after")
    def _written_right(self) -> "Exclusions":
        if wrong := sorted(address for address in self.addresses if "@" not in address):
            raise ValueError(f"exclude.addresses {wrong} are no addresses; a whole domain stands under exclude.domains")
        if wrong := sorted(domain for domain in self.domains if not domain or "@" in domain or "*" in domain):
            raise ValueError(f"exclude.domains {wrong} are no domains; text with a * stands under exclude.patterns")
        if wrong := sorted(pattern for pattern in self.patterns if "@" not in pattern or not pattern.strip("*@.")):
            raise ValueError(f"exclude.patterns {wrong} would match too much; write them as in '*@relay.example.com'")
        return self

    def excludes(self, address: str) -> bool:
        """Whether a normalised address is excluded by itself, by its domain, or by a pattern."""
        return address in self.addresses or self._expression.fullmatch(address) is not None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        domains = (rf".*@(?:.*\.)?{re.escape(domain)}" for domain in sorted(self.domains))
        patterns = (".*".join(map(re.escape, pattern.split("*"))) for pattern in sorted(self.patterns))
        # Without any alternative nothing must match.
        return re.compile("|".join((*domains, *patterns)) or r"(?!)", re.DOTALL)

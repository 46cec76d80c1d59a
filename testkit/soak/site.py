"""The site that soaks and the tests of convergence play: its mapping uses all that a site can, and its waits are short."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from streams.mapping import DEFAULT, load_mapping
from streams.mapping import Mapping as SiteMapping
from testkit.demo.stack import LocalStack
from testkit.oracle import Difference, Expectation, compare, expectation
from testkit.oracle.moves import all_moved_here
from testkit.oracle.sandbox import read_account
from testkit.simulate import Truth, read_truth

QUICK = {
    "OWDD_LIVE_QUIET": "0.3",
    "OWDD_LIVE_LONGEST": "2",
    "OWDD_BULK_QUIET": "1",
    "OWDD_BULK_LONGEST": "4",
    "OWDD_SESSION_TIMEOUT": "6",
    "OWDD_BRAKE_WAIT": "0.5",
    "OWDD_CONSENT_WAIT": "0",
    "OWDD_BRAKE_LEAST": "1000000",
}
"""Short waits, and nobody to release a mass removal: the question is what arrives, not when."""

IMPORTS = {
    "OWDD_IMPORT_LEAST": "5",
    "OWDD_IMPORT_SECONDS": "0.05",
    "OWDD_IMPORT_POLL": "0.5",
    "OWDD_IMPORT_PATIENCE": "15",
    "OWDD_READBACK_SECONDS": "2",
}
"""Settings under which a shop of a hundred customers already uses imports.

A starved machine must keep the patience, too: an import that is given up, and works later, overwrites what went singly, as the
limits of delivery say (``docs/guarantees.md``).
"""

RETURNS = {
    "table": "customer_return_header",
    "key": "crh_id",
    "order": "crh_oh_id",
    "number": "crh_return_number",
    "at": "crh_datetime",
}


@dataclass(frozen=True, slots=True)
class Site:
    """Names and choices of one site; ``variables`` go to all its workers, ``by_worker`` to the named ones.

    ``base`` is the mapping that its own is made from: that of a release, for workers of it. ``renames``: contacts go along
    with their people.
    """

    name: str
    consent: bool = False
    erasure: bool = False
    partitions: int = 4
    variables: Mapping[str, str] | None = None
    by_worker: Mapping[str, Mapping[str, str]] | None = None
    base: Path = DEFAULT
    renames: bool = False

    def mapping(self) -> dict[str, Any]:
        """The content of its ``mapping.yaml``."""
        data: dict[str, Any] = yaml.safe_load(self.base.read_text("utf-8"))
        data["house_accounts"] = [1]
        data["no_address"] = ["N/A", "none", "-", "no email"]
        data["source"]["topic_prefix"] = self.name
        data["order"]["currencies"][2] = {"code": "EUR", "rate": "0.8537"}
        data["returns"] = RETURNS
        data["order"]["header"]["contact"] = "oh_cc_id"
        data["delivery"]["catalogue"]["url"] = "https://shop.example/{code}/{sku}"
        since = datetime.now(UTC) - timedelta(days=10)
        data["delivery"]["follow_up"] = {"kind": "event", "type": "refund", "since": since.isoformat()}
        if self.renames:
            data["contact"]["on_move"] = "rename"
        if self.erasure:
            data["erasure"] = {"column": "cc_gdpr_erased"}
        if self.consent:
            data["consent"] = {"mode": "column", "column": "cc_marketing_opt_in"}
        return data


@asynccontextmanager
async def open_site(directory: Path, broker: Path, site: Site) -> AsyncIterator[LocalStack]:
    """A stack with topics of its own on the broker of directory ``broker``, which may be shared."""
    mapping = directory / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(site.mapping()), "utf-8")
    overrides = QUICK | {"OWDD_APP_ID": site.name, "OWDD_PARTITIONS": str(site.partitions)} | dict(site.variables or {})
    async with LocalStack(directory, mapping, overrides, broker=broker, by_worker=site.by_worker or {}) as running:
        yield running


async def simulate(running: LocalStack, **options: object) -> None:
    """Run the simulator to its end; options as ``owdd simulate`` names them, True for a flag.

    The shop's last day ends now, unless ``ending`` names another moment, so that the list of recent buyers has members.
    """
    arguments = ["--truth", str(running.directory / "truth.json"), "--ending", str(options.pop("ending", "now"))]
    for name, value in options.items():
        arguments.append("--" + name.replace("_", "-"))
        if value is not True:
            arguments.append(str(value))
    await running.simulate(arguments)


def differences(
    running: LocalStack, *, erased: Collection[str] = (), unsubscribed_there: Collection[str] = ()
) -> tuple[list[Difference], Truth, SiteMapping]:
    """What the oracle finds once the stack has settled; ``erased`` and ``unsubscribed_there`` as the oracle takes them.

    Raises:
        AssertionError: the shop has nothing of some part of the delivery, so that nothing was tested.
    """
    mapping, truth = load_mapping(running.mapping), read_truth(running.directory / "truth.json")
    account = read_account(running.settings.dotdigital_url)
    expected = expectation(truth.tables, mapping, at=datetime.now(UTC), erased=[*truth.erased, *erased], history=truth.history)
    not_tested = [name for name, found in _parts(expected, mapping).items() if not found]
    if not_tested:
        raise AssertionError(f"the shop has no {', '.join(not_tested)}: nothing was tested")
    found = compare(
        expected,
        account,
        mapping,
        opted_in_ever=truth.opted_in_ever,
        preexisting=(),
        unsubscribed_there=unsubscribed_there,
        moved_here=all_moved_here(truth.tables, truth.history, mapping),
    )
    return found, truth, mapping


def lasting(found: list[Difference]) -> list[Difference]:
    """Without the one credit note that a crash may have sent twice.

    Its recipient changed between the call whose answer was lost and the next one (docs/guarantees.md, limits of delivery).
    """
    twice = [item for item in found if (item.kind, item.field, item.expected, item.actual) == ("follow-up", "event", 1, 2)]
    return [item for item in found if item not in twice[:1]]


def _parts(expected: Expectation, mapping: SiteMapping) -> dict[str, bool]:
    """Whether each part of the delivery has anything to deliver: a part that is empty proves nothing."""
    delivery, memberships = mapping.delivery, set(expected.recent_buyers.values())
    return {
        "contacts": bool(expected.contacts),
        "order records": delivery.orders is None or bool(expected.orders),
        "catalogue records": delivery.catalogue is None or mapping.products is None or bool(expected.catalogue),
        "recent buyers and others": delivery.recent_buyers is None or memberships >= {"in", "out"},
        "follow-ups": delivery.follow_up is None or bool(expected.follow_ups),
    }

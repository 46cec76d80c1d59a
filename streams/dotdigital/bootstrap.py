"""What must exist in the account before the first delivery: data fields, collections, the list, the programme.

A plan compares the account with the mapping and changes nothing. Applying it creates the missing parts. If any part clashes,
nothing is created: the type of a data field or of a collection's property can never be changed, so a person must decide.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from streams.core.errors import ConfigurationError
from streams.dotdigital.client import Api
from streams.dotdigital.errors import RegionError
from streams.dotdigital.insight import Collection, CollectionType, Property, Scope
from streams.dotdigital.schemas import CATALOGUE, ORDERS, type_conflicts
from streams.mapping import Mapping as SiteMapping
from streams.mapping.delivery import RefundEnrolment

FieldType: TypeAlias = Literal["String", "Numeric", "Date", "Boolean"]
StepKind: TypeAlias = Literal["data field", "collection", "list", "programme"]
Action: TypeAlias = Literal["ok", "create", "clash", "missing"]

TYPES: Final[dict[str, FieldType]] = {
    "trade": "Boolean",
    "order_count": "Numeric",
    "total_spend": "Numeric",
    "average_order": "Numeric",
    "first_order": "Date",
    "last_order": "Date",
    "last_despatch": "Date",
    "refund_count": "Numeric",
    "refund_total": "Numeric",
    "last_refund": "Date",
    "refunded": "Boolean",
    "exclude_until": "Date",
}
"""The type of each value of a contact; values that are not listed are text."""


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the account that must exist.

    Attributes:
        kind: the kind of part.
        name: its name, or its id where the mapping gives the id.
        wanted: its type, if it has one.
        action: ``ok``, ``create``, ``clash`` when it exists with another type, or ``missing`` when only a person can create it.
        found: the type or the name that the account has now.
        number: its id, once it exists and has one.
    """

    kind: StepKind
    name: str
    wanted: str
    action: Action
    found: str | None = None
    number: int | None = None

    @property
    def blocked(self) -> bool:
        """Whether a person must act."""
        return self.action in ("clash", "missing")

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}" + (f": {self.found}" if self.found else "")


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of deliveries: collections by name, list and programme by id; None means that the part is not delivered."""

    orders: str | None
    catalogue: str | None
    recent_buyers: int | None
    program: int | None


async def plan(api: Api, mapping: SiteMapping) -> tuple[Step, ...]:
    """Compare the account with the needs of the mapping. Names match in any casing, as they do in Dotdigital.

    Raises:
        RegionError: another region serves the account; the message names its endpoint.
        DotdigitalError: the account cannot be read.
    """
    account = await api.account()
    try:
        return (
            *_fields(await api.data_fields(), mapping),
            *await _collections(api, mapping),
            *await _list(api, mapping),
            *await _program(api, mapping),
        )
    except RegionError as error:
        # account-info is the only call that succeeds on the host of another region, and its response names the right one.
        raise RegionError(error.operation, account.get("ApiEndpoint")) from error


async def apply(api: Api, steps: tuple[Step, ...]) -> None:
    """Create the missing parts of a plan.

    Raises:
        ConfigurationError: a part is blocked; nothing was changed.
        DotdigitalError: a part could not be created. Run it again: the parts that exist by then are left as they are.
    """
    if blocked := [step for step in steps if step.blocked]:
        raise ConfigurationError("the account cannot be used: " + "; ".join(map(str, blocked)))
    for step in steps:
        if step.action != "create":
            continue
        if step.kind == "data field":
            await api.create_data_field(step.name, step.wanted)
        elif step.kind == "collection":
            wanted = _OWN_COLLECTIONS[step.wanted]
            await api.ensure_collection(step.name, wanted.scope, wanted.type)
        else:
            await api.create_list(step.name)


async def resolve(api: Api, mapping: SiteMapping) -> Targets:
    """The worker's targets. A worker checks them at start, because one missing data field would have every contact refused.

    Raises:
        ConfigurationError: a part is missing or has another type; the message names it and the command to run.
        DotdigitalError: the account cannot be read.
    """
    steps = await plan(api, mapping)
    if wrong := [step for step in steps if step.action != "ok"]:
        named = "\n".join(f"  {step}" for step in wrong)
        raise ConfigurationError(f"the Dotdigital account is incomplete:\n{named}\nrun 'owdd dotdigital apply --execute'")
    names = dict(_delivered_collections(mapping))
    numbers = {step.kind: step.number for step in steps}
    return Targets(names.get("orders"), names.get("catalog"), numbers.get("list"), numbers.get("programme"))


@dataclass(frozen=True, slots=True)
class _OwnCollection:
    """The scope, type and properties that one of our collections must have."""

    scope: Scope
    type: CollectionType
    properties: tuple[Property, ...]


_OWN_COLLECTIONS: Final[Mapping[str, _OwnCollection]] = {
    "orders": _OwnCollection("contact", "orders", ORDERS),
    "catalog": _OwnCollection("account", "catalog", CATALOGUE),
}


def _delivered_collections(mapping: SiteMapping) -> Iterator[tuple[str, str]]:
    """The collections that the site delivers: pairs of kind and name."""
    if mapping.delivery.orders is not None:
        yield "orders", mapping.delivery.orders.collection
    if mapping.delivery.catalogue is not None and mapping.products is not None:
        yield "catalog", mapping.delivery.catalogue.collection


def _fields(existing: Mapping[str, str], mapping: SiteMapping) -> Iterator[Step]:
    found = {name.casefold(): kind for name, kind in existing.items()}
    for value, name in mapping.contact_fields.model_dump().items():
        wanted, there = TYPES.get(value, "String"), found.get(name.casefold())
        if there is None:
            yield Step("data field", name, wanted, "create")
        elif there.casefold() == wanted.casefold():
            yield Step("data field", name, wanted, "ok", there)
        else:
            yield Step("data field", name, wanted, "clash", f"{there}, not {wanted}")


async def _collections(api: Api, mapping: SiteMapping) -> list[Step]:
    held = {collection.name.casefold(): collection for collection in await api.collections()}
    return [await _collection(api, kind, name, held.get(name.casefold())) for kind, name in _delivered_collections(mapping)]


async def _collection(api: Api, kind: str, name: str, held: Collection | None) -> Step:
    if held is None:
        return Step("collection", name, kind, "create")
    wanted = _OWN_COLLECTIONS[kind]
    if (held.scope, held.type) != (wanted.scope, wanted.type):
        return Step("collection", name, kind, "clash", f"{held.type} of scope {held.scope}")
    # The right scope and type are not enough: records that another system wrote may have fixed a property's type.
    wrong = ", ".join(type_conflicts(wanted.properties, await api.schema(name)))
    return Step("collection", name, kind, "clash" if wrong else "ok", wrong or held.type)


async def _list(api: Api, mapping: SiteMapping) -> list[Step]:
    if mapping.delivery.recent_buyers is None:
        return []
    wanted = mapping.delivery.recent_buyers.list
    for held in await api.lists():
        if wanted == held.list_id or (isinstance(wanted, str) and wanted.strip().casefold() == held.name.casefold()):
            return [Step("list", str(wanted), "", "ok", held.name, held.list_id)]
    if isinstance(wanted, int):
        # Dotdigital assigns the ids, so a list with a given id cannot be created.
        return [Step("list", str(wanted), "", "missing", "there is no list with that id")]
    return [Step("list", wanted, "", "create")]


async def _program(api: Api, mapping: SiteMapping) -> list[Step]:
    follow_up = mapping.delivery.follow_up
    if not isinstance(follow_up, RefundEnrolment):
        return []
    name = str(follow_up.program)
    # The API has no call that creates or activates a programme.
    held = next((program for program in await api.programs() if program.program_id == follow_up.program), None)
    if held is None:
        return [Step("programme", name, "Active", "missing", "there is no programme with that id")]
    return [Step("programme", name, "Active", "ok" if held.active else "missing", held.status, held.program_id)]

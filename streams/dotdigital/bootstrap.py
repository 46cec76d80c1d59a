"""What must exist in the account before the first delivery: our data fields, with the right types."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from streams.dotdigital.client import DotdigitalClient
from streams.mapping import ContactFields

FieldType: TypeAlias = Literal["String", "Numeric", "Date", "Boolean"]

TYPES: dict[str, FieldType] = {
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
"""The type of each value of a contact; what is not listed is text."""


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One data field: ``action`` is ``ok``, ``create``, or ``clash`` when it exists with another type."""

    name: str
    type: FieldType
    action: Literal["ok", "create", "clash"]
    found: str | None = None


async def plan_fields(client: DotdigitalClient, names: ContactFields) -> list[FieldPlan]:
    """Compare the account's data fields with what the mapping needs. Names match in any case.

    Raises:
        DotdigitalError: the account cannot be read.
    """
    existing = {name.casefold(): kind for name, kind in (await client.data_fields()).items()}
    plan: list[FieldPlan] = []
    for value, name in names.model_dump().items():
        wanted = TYPES.get(value, "String")
        found = existing.get(name.casefold())
        if found is None:
            plan.append(FieldPlan(name, wanted, "create"))
        else:
            plan.append(FieldPlan(name, wanted, "ok" if found.casefold() == wanted.casefold() else "clash", found))
    return plan


async def apply_fields(client: DotdigitalClient, plan: list[FieldPlan]) -> None:
    """Create the fields that the plan says are missing.

    Raises:
        DotdigitalError: a field is refused.
    """
    for field in plan:
        if field.action == "create":
            await client.create_data_field(field.name, field.type)

"""The account itself (v2): its properties, among them the endpoint of its region, and its data fields."""

from typing import Any

import orjson

from streams.dotdigital.errors import DataError
from streams.dotdigital.responses import ApiModel, read
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup


class _Property(ApiModel):
    name: str
    value: str | int | float | bool | None = None


class _Info(ApiModel):
    properties: list[_Property]


class _Field(ApiModel):
    name: str
    type: str
    default_value: Any = None


class AccountCalls(ApiGroup):
    """Calls about the account."""

    async def account(self) -> dict[str, str]:
        """The account's properties by name; all values are text."""
        response = await self._call(Operation.ACCOUNT_INFO, "GET", "/v2/account-info")
        rows = read(response, Operation.ACCOUNT_INFO, _Info).properties
        return {row.name: "" if row.value is None else str(row.value) for row in rows}

    async def data_fields(self) -> dict[str, str]:
        """The account's data fields: name to type."""
        response = await self._call(Operation.LIST_DATA_FIELDS, "GET", "/v2/data-fields")
        return {row.name: row.type for row in read(response, Operation.LIST_DATA_FIELDS, list[_Field])}

    async def data_field_defaults(self) -> dict[str, object]:
        """The values that the account's data fields have by default: by name in lower case, those that have one."""
        response = await self._call(Operation.LIST_DATA_FIELDS, "GET", "/v2/data-fields")
        found = read(response, Operation.LIST_DATA_FIELDS, list[_Field])
        return {row.name.casefold(): row.default_value for row in found if row.default_value not in (None, "")}

    async def create_data_field(self, name: str, kind: str) -> None:
        """Create a private data field; a field that exists already is left as it is."""
        body = orjson.dumps({"name": name, "type": kind, "visibility": "Private"})
        try:
            await self._call(Operation.CREATE_DATA_FIELD, "POST", "/v2/data-fields", body)
        except DataError as error:
            # Two workers may start at once; the type of an existing field was compared when the plan was made.
            if error.code != "ERROR_NON_UNIQUE_DATAFIELD":
                raise

"""Programmes and enrolments (v2). An account has 20 enrolment calls an hour over all programmes, so each should be full."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from streams.dotdigital.paging import MOST_V2, skipping
from streams.dotdigital.responses import ApiModel, read
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup

MOST_CONTACTS: Final = 25
"""Dotdigital's limit of contacts in one enrolment."""


@dataclass(frozen=True, slots=True)
class Program:
    """A programme; ``status`` is ``Draft``, ``Active``, ``Deactivated`` or ``ReadOnly``."""

    program_id: int
    name: str
    status: str

    @property
    def active(self) -> bool:
        """Whether contacts can be enrolled."""
        return self.status.casefold() == "active"


class _Program(ApiModel):
    id: int
    name: str | None = None
    status: str | None = None


ALREADY_ENROLLED: Final = "AlreadyInProgram"
"""The fault of a contact that is on the programme: it is what was wanted."""


class _Enrolment(ApiModel):
    id: str
    status: str | None = None


class ProgramCalls(ApiGroup):
    """Calls for programmes."""

    async def programs(self) -> tuple[Program, ...]:
        """All programmes of the account."""
        found: list[Program] = []
        while True:
            response = await self._call(Operation.LIST_PROGRAMS, "GET", "/v2/programs", query=skipping(len(found)))
            rows = read(response, Operation.LIST_PROGRAMS, list[_Program])
            found += [Program(row.id, row.name or "", row.status or "") for row in rows]
            if len(rows) < MOST_V2:
                return tuple(found)

    async def enrol(self, program_id: int, contact_ids: Sequence[int]) -> str:
        """Enrol up to 25 contacts; returns the enrolment's id. Contacts that are on the programme stay as they are.

        Raises:
            ThrottledError: the calls of this hour are used up (``Limit.ENROLMENTS``).
            MissingError: there is no such programme or contact, or the programme is not active.
        """
        body = orjson.dumps({"programId": program_id, "contacts": list(contact_ids)})
        return read(await self._call(Operation.ENROL, "POST", "/v2/programs/enrolments", body), Operation.ENROL, _Enrolment).id

    async def enrolment_finished(self, enrolment_id: str) -> bool:
        """Whether an enrolment is worked off.

        Raises:
            NotFoundError: Dotdigital does not have the enrolment.
        """
        response = await self._call(Operation.ENROLMENT, "GET", f"/v2/programs/enrolments/{enrolment_id}")
        return (read(response, Operation.ENROLMENT, _Enrolment).status or "").casefold() == "finished"

    async def enrolment_faults(self, enrolment_id: str) -> dict[int, str]:
        """The contacts that a finished enrolment did not enrol, each with Dotdigital's reason.

        Raises:
            NotFoundError: Dotdigital does not have the enrolment.
        """
        path = f"/v2/programs/enrolments/{enrolment_id}/report-faults"
        response = await self._call(Operation.ENROLMENT_FAULTS, "GET", path)
        rows = csv.DictReader(io.StringIO(response.content.decode("utf-8-sig", "replace")))
        return {int(row["Id"]): row.get("Reason") or "unknown" for row in rows if (row.get("Id") or "").isdigit()}

"""The v3 insight data service, collection by collection: create, list, schema, empty and delete.

Creating one that exists is a 200 and changes nothing, whatever scope and type were asked for. Emptying and deleting
are asynchronous; deleting a collection is the only thing that frees the types of its properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox import jobs as states
from testkit.sandbox.error_replies import json_response, v3_error
from testkit.sandbox.insight import ACCOUNT, CONTACT, SCOPES, Collection, FullError, fits_type
from testkit.sandbox.insight_records import SERVICE, Records, check_name
from testkit.sandbox.insightschema import describe
from testkit.sandbox.jobs import Job
from testkit.sandbox.store import Store

KIND = "insightJob"
_STATUSES = {states.RUNNING: "NotStarted", states.FINISHED: "Finished"}


class Collections:
    """Handlers of `/insightData/v3/collections` and of the summaries beside it."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records
        store.jobs.register(KIND, self._run)

    async def create(self, request: Request) -> Response:
        name, query = request.path_params["collectionName"], request.query_params
        check_name(name)
        scope, kind = query.get("collectionScope"), query.get("collectionType")
        if scope not in SCOPES or not fits_type(name, kind):
            raise v3_error(400, f"{SERVICE}:invalidId", "The scope or the type of the collection cannot be used")
        if self._store.insight.find(name) is not None:
            return Response(status_code=200)
        try:
            self._store.insight.create(name, str(scope), str(kind))
        except FullError:
            return Response(status_code=412)
        return Response(status_code=201)

    async def all(self, _request: Request) -> Response:
        return json_response([_summary(held) for held in self._store.insight])

    async def of_account(self, _request: Request) -> Response:
        return json_response([_summary(held) for held in self._store.insight if held.scope == ACCOUNT])

    async def of_contact(self, request: Request) -> Response:
        """The collections that hold records of the contact, with how many of its own they hold."""
        owner = self._records.owner(request.path_params["identifier"], request.path_params["value"])
        counted = [(held, held.owned(owner)) for held in self._store.insight if held.scope == CONTACT]
        return json_response([_summary(held, rows) for held, rows in counted if rows])

    async def schema(self, request: Request) -> Response:
        held = self._records.collection(request.path_params["collectionName"], None)
        fields: list[dict[str, Any]] = [{"name": "key", "mode": "REQUIRED", "type": "STRING", "fields": []}]
        if held.scope == CONTACT:
            fields.append({"name": "contactIdentifier", "mode": "REQUIRED", "type": "INTEGER", "fields": []})
        fields.append({"name": "json", "mode": "NULLABLE", "type": "RECORD", "fields": describe(held.fields)})
        return json_response({"collectionName": held.name, "collectionType": held.type, "schema": fields})

    async def delete(self, request: Request) -> Response:
        held = self._records.collection(request.path_params["collectionName"], None)
        return self._start({"collection": held.name, "drop": True})

    async def empty(self, request: Request) -> Response:
        """All of a collection, or one contact's records in it."""
        if "identifier" in request.path_params:
            owner, held = self._records.place(request)
            return self._start({"collection": held.name, "owner": owner})
        held = self._records.collection(request.path_params["collectionName"], None)
        return self._start({"collection": held.name})

    async def job(self, request: Request) -> Response:
        wanted: str = request.path_params["jobId"]
        job = self._store.jobs.find(KIND, wanted)
        if job is None:
            raise v3_error(404, f"{SERVICE}:asyncJobNotFound", f"The job '{wanted}' could not be found")
        return json_response({"jobId": job.id, "status": _STATUSES[job.state]} | (job.report or {}))

    def _start(self, payload: dict[str, Any]) -> Response:
        return json_response({"jobId": self._store.jobs.start(KIND, payload).id}, 202)

    def _run(self, job: Job) -> dict[str, Any]:
        held = self._store.insight.find(job.payload["collection"])
        owner = job.payload.get("owner")
        keys = [] if held is None else [key for key, record in held.records.items() if owner in (None, record.owner)]
        for key in keys:
            if held is not None:
                del held.records[key]
        if job.payload.get("drop"):
            self._store.insight.drop(job.payload["collection"])
        return {"summary": {"totalRecords": len(keys), "totalProcessed": len(keys), "totalFailed": 0}}


def _summary(held: Collection, rows: Sequence[object] | None = None) -> dict[str, Any]:
    return {
        "collectionName": held.name,
        "collectionType": held.type,
        "collectionScope": held.scope,
        "recordCount": len(held.records if rows is None else rows),
    }

"""``POST /state`` on a worker's port: queries of people who may see personal data, and nobody else's.

The page exists only where ``OWDD_STATE_TOKEN`` is set, and answers only those who bring it. Each request is logged: who
asked and about whom, both as keyed hashes.
"""

import hmac

import msgspec
import structlog
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from streams.messages.dead_letters import is_keyed_hash
from streams.operations import state_queries
from streams.operations.state_queries import MOST_QUERIES
from streams.operations.state_replies import StateReplies

PATH = "/state"
MEDIA_TYPE = "application/msgpack"

_LONGEST = 64 * 2**10
"""Bytes of a request: its queries name one contact, its buyers and orders."""

log = structlog.get_logger()


def state_page(replies: StateReplies, token: str) -> Route:
    """The page of a worker whose state ``replies`` reads; ``token`` is not empty."""

    async def page(request: HttpRequest) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {token}".encode()):
            return PlainTextResponse("OWDD_STATE_TOKEN is another one here", 401)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST:
                return PlainTextResponse("the request is too long", 413)
        try:
            asked = state_queries.read_request(body)
        except msgspec.MsgspecError:
            return PlainTextResponse("not a request of this release", 400)
        if len(asked.queries) > MOST_QUERIES:
            return PlainTextResponse("too many queries", 413)
        log.info("state read", by=_hash(asked.by), about=_hash(asked.about), queries=len(asked.queries))
        found = [replies.reply(query) for query in asked.queries]
        return Response(state_queries.write(state_queries.Response(found, replies.owned())), media_type=MEDIA_TYPE)

    return Route(PATH, page, methods=["POST"])


def _hash(given: str) -> str:
    """``given`` if it is a keyed hash; whatever else a program sends may be personal data, and is not logged."""
    return given if is_keyed_hash(given) else ""

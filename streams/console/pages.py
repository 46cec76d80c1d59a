"""The console's pages. Each is for people who have signed in, and leaves a line in the log with keyed hashes."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import structlog
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from streams.console.access import COOKIE, Access
from streams.console.filters import SetAsideFilter
from streams.console.overview import Overview
from streams.console.rendering import Templates
from streams.core.errors import OwddError
from streams.messages.dead_letters import KEYED_HASH, keyed_hash
from streams.operations.story_reading import Stories
from streams.settings import Settings

Page: TypeAlias = Callable[[Request, str], Awaitable[Response]]
"""A page for somebody who may read it: the request, and the keyed hash of who it is."""


class _KeyedHash(StringConvertor):
    """Of a contact's page: with anything else, as an address, there is no such page, so it is neither logged nor asked for."""

    regex = KEYED_HASH


register_url_convertor("keyed_hash", _KeyedHash())

_MOST_FORM = 4 * 2**10
_MOST_KNOWN = 20_000

log = structlog.get_logger()


class Pages:
    """All pages of one site's console."""

    def __init__(
        self, settings: Settings, access: Access, overview: Overview, stories: Stories | None, templates: Templates
    ) -> None:
        self._access = access
        self._overview = overview
        self._stories = stories
        self._templates = templates
        self._hash_key = settings.hash_key.get_secret_value().encode()
        # Addresses of pages name people by hash; what a search found need not be looked for again.
        self._known: OrderedDict[str, str] = OrderedDict()

    def routes(self) -> list[Route]:
        """Their routes."""
        return [
            Route("/", self._guarded(self._today)),
            Route("/contact", self._guarded(self._search_form)),
            Route("/contact", self._guarded(self._search), methods=["POST"]),
            Route("/contact/{hash:keyed_hash}", self._guarded(self._contact)),
            Route("/contact/{hash:keyed_hash}", self._guarded(self._contact_live), methods=["POST"]),
            Route("/set-aside", self._guarded(self._set_aside)),
            Route("/sign-in", self._sign_in_form),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
        ]

    def errors(self) -> Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]:
        """What is shown instead of a page."""

        async def missing(request: Request, error: Exception) -> Response:
            status = error.status_code if isinstance(error, HTTPException) else 500
            return self._problem(request, status, "There is no such page.", "Go back to Today, or search for a contact.")

        return {404: missing, 405: missing}

    def _guarded(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """``page``, for people who have signed in; others are sent to do that. Every page that is read is logged."""

        async def guarded(request: Request) -> Response:
            reader = self._access.reader(request)
            if reader is None:
                return RedirectResponse("/sign-in", 303)
            by, started = keyed_hash(reader.encode(), self._hash_key), time.monotonic()
            try:
                response = await page(request, by)
            except OwddError as error:
                response = self._problem(request, 503, "This cannot be shown now.", str(error))
            log.info(
                "console page",
                page=request.scope["route"].path if "route" in request.scope else page.__name__.removeprefix("_"),
                by=by,
                about=request.path_params.get("hash", ""),
                status=response.status_code,
                ms=round((time.monotonic() - started) * 1000),
            )
            return response

        return guarded

    async def _today(self, request: Request, _: str) -> Response:
        found = await self._overview.latest()
        if found is None:
            return self._problem(request, 503, "There are no numbers yet.", self._overview.error or "They are being read.")
        return self._render("today.html", request, now=_now(), found=found, status=found.status, error=self._overview.error)

    async def _set_aside(self, request: Request, _: str) -> Response:
        found = await self._overview.latest()
        if found is None:
            return self._problem(request, 503, "There are no numbers yet.", self._overview.error or "They are being read.")
        chosen = SetAsideFilter.of(request.query_params)
        return self._render(
            "set-aside.html",
            request,
            now=_now(),
            found=found,
            filter=chosen,
            groups=chosen.groups(found.items, _now()),
            error=self._overview.error,
        )

    async def _search_form(self, request: Request, _: str) -> Response:
        return self._render("contact-search.html", request, **_EMPTY_SEARCH, usable=self._stories is not None)

    async def _search(self, request: Request, by: str) -> Response:
        text = (await _form(request)).get("q", "").strip()
        if not text or self._stories is None:
            return RedirectResponse("/contact", 303)
        result = await self._stories.search(text, by)
        for email in result.emails:
            self._remember(email)
        if len(result.emails) == 1 and not result.gaps:
            return RedirectResponse(f"/contact/{self._stories.hash_of(result.emails[0])}", 303)
        hits = [(one, [(email, self._stories.hash_of(email)) for email in one.emails]) for one in result.found]
        values = _EMPTY_SEARCH | {"text": text, "hits": hits, "gaps": result.gaps, "searched": True}
        return self._render("contact-search.html", request, **values, usable=True)

    async def _contact(self, request: Request, by: str) -> Response:
        return await self._story(request, by, live=False)

    async def _contact_live(self, request: Request, by: str) -> Response:
        return await self._story(request, by, live=True)

    async def _story(self, request: Request, by: str, *, live: bool) -> Response:
        if self._stories is None:
            return RedirectResponse("/contact", 303)
        hash_ = request.path_params["hash"]
        email = self._known.get(hash_) or await self._stories.address_of(hash_, by)
        if email is None:
            return self._problem(request, 404, "No contact of ours has this page.", "Search for it by address or number.")
        self._remember(email)
        story = await self._stories.read(email, live=live, by=by)
        return self._render("contact.html", request, story=story, now=_now(), live=live)

    def _remember(self, email: str) -> None:
        assert self._stories is not None
        self._known[self._stories.hash_of(email)] = email
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    async def _sign_in_form(self, request: Request) -> Response:
        if self._access.reader(request) is not None:
            return RedirectResponse("/", 303)
        return self._render("sign-in.html", request, wrong=False, by_token=self._access.by_token)

    async def _sign_in(self, request: Request) -> Response:
        client = "" if request.client is None else request.client.host
        session = self._access.sign_in((await _form(request)).get("token", ""), client)
        if session is None:
            log.warning("console sign-in refused")
            return self._render("sign-in.html", request, 403, wrong=True, by_token=self._access.by_token)
        response = RedirectResponse("/", 303)
        # Anybody may send this header, and only loses a cookie by it.
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        response.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=secure, path="/")
        return response

    async def _sign_out(self, request: Request) -> Response:
        self._access.sign_out(request)
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE)
        return response

    def _problem(self, request: Request, status: int, headline: str, detail: str) -> Response:
        return self._render("problem.html", request, status, headline=headline, detail=detail)

    def _render(self, template: str, request: Request, code: int = 200, **values: Any) -> Response:
        everywhere = {"path": request.url.path, "reader": self._access.reader(request)}
        return self._templates.page(template, values | everywhere, code)


_EMPTY_SEARCH: dict[str, Any] = {"text": "", "hits": [], "gaps": [], "searched": False}


def _now() -> int:
    return time.time_ns() // 1_000_000


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; a longer one than any of ours is refused."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_FORM:
            raise HTTPException(413)
    return {name: values[-1] for name, values in parse_qs(body.decode(errors="replace")).items()}

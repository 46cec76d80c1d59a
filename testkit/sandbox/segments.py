"""Routing by the path as it was sent, so that an encoded slash belongs to its segment.

Servers decode a path before an application sees it. An e-mail address or an order number may hold a slash; that Dotdigital
takes it when it is encoded is assumed.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.routing import Match, Route
from starlette.types import Scope


class SegmentRoute(Route):
    """A route whose parameters are decoded after it was found."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches({**scope, "path": scope["raw_path"].decode("latin-1")})
        if match is not Match.NONE:
            child["path_params"] = {name: unquote(value) for name, value in child["path_params"].items()}
        return match, child

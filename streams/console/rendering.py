"""The console's templates, and how they write numbers, ages and times. Everything is escaped."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from streams.console.charts import bars
from streams.core.text import age

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TEMPLATES = Path(__file__).parent / "templates"


class Templates:
    """Renders pages; times are shown in the site's zone, as Orderwise shows them."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        # StrictUndefined: a name that a page lacks is a defect, and not an empty place on it.
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "number": _number,
            "age": age,
            "since": _since,
            "time": self._time,
            "title_of": _title,
            "clock": self._clock,
            "hour": self._hour,
        }
        self._environment.globals |= {"bars": bars, "zone": timezone}

    def page(self, name: str, values: dict[str, Any], code: int = 200) -> HTMLResponse:
        """The page of a template."""
        return HTMLResponse(self._environment.get_template(name).render(values), code)

    def _time(self, millis: int | None) -> Markup:
        if millis is None:
            return Markup("–")
        at = datetime.fromtimestamp(millis / 1000, UTC)
        shown = at.astimezone(self._zone).strftime("%-d %b %Y, %H:%M:%S")
        return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), shown)

    def _hour(self, millis: int) -> str:
        return datetime.fromtimestamp(millis / 1000, self._zone).strftime("%H:%M")

    def _clock(self, text: str) -> str | Markup:
        """A time of ours as people read it; any other text as it is."""
        if not _UTC.fullmatch(text):
            return text
        return self._time(round(datetime.fromisoformat(text).timestamp() * 1000))


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _since(at: int | None, now: int) -> str:
    """How long ago, or until when."""
    if at is None:
        return "never"
    seconds = (now - at) / 1000
    return f"{age(seconds)} ago" if seconds >= 0 else f"in {age(-seconds)}"


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]

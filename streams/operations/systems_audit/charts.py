"""Bar charts as SVG, made here: the report asks no other host for anything."""

from collections.abc import Sequence
from html import escape

_ROW, _LABEL, _BAR = 24, 250, 420
_COLUMNS_HEIGHT, _COLUMN = 140, 26


def bars(rows: Sequence[tuple[str, int]], title: str) -> str:
    """Names with horizontal bars, and their numbers."""
    most = max((count for _, count in rows), default=0) or 1
    parts = [
        f'<text x="{_LABEL - 8}" y="{index * _ROW + 16}" text-anchor="end">{escape(name[:38])}</text>'
        f'<rect x="{_LABEL}" y="{index * _ROW + 4}" width="{max(1, _BAR * count // most)}" height="16" rx="2"/>'
        f'<text x="{_LABEL + max(1, _BAR * count // most) + 6}" y="{index * _ROW + 16}">{count:,}</text>'
        for index, (name, count) in enumerate(rows)
    ]
    return _svg(_LABEL + _BAR + 80, len(rows) * _ROW + 8, title, parts)


def columns(rows: Sequence[tuple[str, int]], title: str) -> str:
    """Columns from left to right, as for months or hours; every second one is named where there are many."""
    most = max((count for _, count in rows), default=0) or 1
    step = 1 if len(rows) <= 12 else 3
    parts = []
    for index, (name, count) in enumerate(rows):
        x, height = 8 + index * _COLUMN, max(1, _COLUMNS_HEIGHT * count // most)
        parts.append(
            f'<rect x="{x}" y="{_COLUMNS_HEIGHT - height + 16}" width="{_COLUMN - 6}" height="{height}" rx="2">'
            f"<title>{escape(name)}: {count:,}</title></rect>"
        )
        if index % step == 0:
            parts.append(f'<text x="{x}" y="{_COLUMNS_HEIGHT + 32}">{escape(name)}</text>')
    parts.append(f'<text x="8" y="11">at most {most:,}</text>')
    return _svg(max(240, 16 + len(rows) * _COLUMN + 30), _COLUMNS_HEIGHT + 42, title, parts)


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )

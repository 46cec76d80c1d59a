"""The audit's report as one HTML file: readable on a screen and on paper, without any request to another host."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from streams.operations.systems_audit.charts import bars, columns
from streams.operations.systems_audit.findings import AuditReport, Defect
from streams.operations.systems_audit.gather import TableFacts

_STALE_MS = 30 * 86_400_000
_STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5d6b7a; --line: #d9dfe6; --bar: #2f6f9f;
  --harm: #b3261e; --look: #9a6b00; }
body { font: 15px/1.5 system-ui, "Liberation Sans", Arial, sans-serif; color: var(--ink); margin: 0 auto; max-width: 960px;
  padding: 32px 24px; }
h1 { font-size: 28px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 36px 0 8px; border-bottom: 1px solid var(--line); }
p.soft, td.soft { color: var(--soft); } table { border-collapse: collapse; width: 100%; margin: 8px 0; }
th, td { text-align: left; padding: 6px 10px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; } .tile { border: 1px solid var(--line); border-radius: 6px;
  padding: 10px 14px; min-width: 120px; } .tile b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.harm { color: var(--harm); font-weight: 600; } .look { color: var(--look); font-weight: 600; }
svg { max-width: 100%; height: auto; } svg rect { fill: var(--bar); } svg text { font-size: 12px; fill: var(--ink); }
.none { color: var(--soft); }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } h2 { break-after: avoid; }
  tr, svg, .tile { break-inside: avoid; } }
"""


def audit_page(report: AuditReport, site: str, now_ms: int) -> str:
    """The whole page; ``site`` names the shop's topics."""
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en-GB"><head><meta charset="utf-8"><title>Systems audit: {escape(site)}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
        f"<h1>Systems audit</h1><p class=soft>{escape(site)}, {_time(now_ms)}. From the captured topics alone.</p>",
        *_tiles(report),
        *_defects(report.defects),
        *_effect(report),
        *_charts(report),
        *_tables(report.tables, now_ms),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _tiles(report: AuditReport) -> Iterator[str]:
    yield '<div class="tiles">'
    for name, count in report.counts.items():
        yield f'<div class="tile"><b>{count:,}</b>{escape(name)}</div>'
    yield "</div>"


def _defects(defects: Sequence[Defect]) -> Iterator[str]:
    found = sorted((item for item in defects if item.count), key=lambda item: (item.rule.severity, -item.count))
    harmful = sum(item.rule.severity == "harm" for item in found)
    yield f"<h2>What is wrong</h2><p>{len(found)} kinds of defect; {harmful} do harm.</p>"
    yield "<table><tr><th>defect</th><th class=number>rows</th><th>what to do</th></tr>"
    for item in found:
        words = ", ".join(f"{escape(word or 'empty')} × {count:,}" for word, count in item.words)
        named = f'<br><span class="none">{words}</span>' if words else ""
        yield (
            f'<tr><td><span class="{item.rule.severity}">{escape(item.rule.title)}</span>{named}</td>'
            f"<td class=number>{item.count:,}</td><td>{escape(item.rule.advice)}</td></tr>"
        )
    yield "</table>"
    clean = [item.rule.title for item in defects if not item.count]
    if clean:
        yield f'<p class="none">Looked for and not found: {escape("; ".join(clean))}.</p>'


def _effect(report: AuditReport) -> Iterator[str]:
    effect = report.effect
    yield "<h2>What a first load brings</h2>"
    yield (
        f"<p>{effect.contacts:,} contacts ({effect.excluded:,} addresses are excluded by the mapping), {effect.records:,}"
        f" records of orders and credit notes, {effect.catalogue:,} of the catalogue: {effect.single_calls:,} single calls and"
        f" {effect.imports:,} imports, which take at least {_duration(effect.seconds)}.</p>"
    )


def _charts(report: AuditReport) -> Iterator[str]:
    charts = (
        ("Consent", bars, report.consents, "People by consent"),
        ("Orders by month", columns, report.orders_by_month, "Orders by month"),
        ("Orders by hour of the day (UTC)", columns, report.orders_by_hour, "Orders by hour"),
        ("Orders by status", bars, report.statuses, "Orders by status"),
        ("Largest accounts, by orders", bars, report.largest, "Largest accounts"),
    )
    for title, chart, rows, label in charts:
        if rows:
            yield f"<h2>{title}</h2>{chart(rows, label)}"


def _tables(tables: Sequence[TableFacts], now_ms: int) -> Iterator[str]:
    yield "<h2>Tables</h2><table><tr><th>table</th><th class=number>rows</th><th class=number>records</th>"
    yield "<th>newest change</th><th>records that cannot be read</th></tr>"
    for facts in tables:
        unreadable = ", ".join(f"{escape(code)} × {count:,}" for code, count in sorted(facts.unreadable.items()))
        yield (
            f"<tr><td>{escape(facts.table)}</td><td class=number>{facts.rows:,}</td><td class=number>{facts.records:,}</td>"
            f"<td>{_newest(facts.newest, now_ms)}</td><td>{unreadable}</td></tr>"
        )
    yield "</table>"


def _newest(at_ms: int, now_ms: int) -> str:
    if not at_ms:
        return '<span class="none">none since the snapshot</span>'
    return f'<span class="{"look" if now_ms - at_ms > _STALE_MS else ""}">{_time(at_ms)}</span>'


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes <= 1:
        return "a minute"
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{minutes} minutes"

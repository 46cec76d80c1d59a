"""``owdd verify``: does the sandbox hold what the rows say?"""

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from streams.cli import output
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson
from streams.core.errors import OwddError
from streams.mapping import load_mapping
from streams.settings import load_settings
from testkit.oracle import compare, expectation, expected_held
from testkit.oracle.moves import all_moved_here
from testkit.oracle.redaction import redacted
from testkit.oracle.sandbox import read_account
from testkit.simulate.truth import read_truth

_LOOK_AGAIN_SECONDS = 2.0


def verify(
    truth: Annotated[Path, typer.Option(dir_okay=False, help="Truth file of 'owdd simulate'.")],
    url: Annotated[str, typer.Option(envvar="OWDD_DOTDIGITAL_URL", help="URL of the sandbox.")] = "http://127.0.0.1:8100",
    mapping: Annotated[
        Path | None,
        typer.Option(envvar="OWDD_MAPPING", dir_okay=False, help="The site's mapping; default: the shipped one."),
    ] = None,
    preexisting: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="File with the addresses that the account had before, one a line; all others must be gone when no row "
            "has them. Without it, a contact that no row has may stay if our fields are empty.",
        ),
    ] = None,
    erased: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File with the addresses that were erased, one a line.")
    ] = None,
    unsubscribed: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="File with the addresses that unsubscribed in Dotdigital, one a line."),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="While there are differences, look again for at most so many seconds.")
    ] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Show at most this many differences.")] = 50,
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Show e-mails and names instead of keyed hashes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute contacts, records, list and follow-ups from the rows alone and compare them with the sandbox, value by value.

    Exit code 0: no difference; 2: at least one; 1 or 3: the truth, the sandbox or the mapping cannot be read.
    """
    site = load_mapping(mapping)
    rows = read_truth(truth)
    before = None if preexisting is None else _addresses(preexisting)
    gone = {*rows.erased, *(() if erased is None else _addresses(erased))}
    left = () if unsubscribed is None else _addresses(unsubscribed)
    hash_key = load_settings().hash_key.get_secret_value().encode()
    moved = all_moved_here(rows.tables, rows.history, site)
    deadline = time.monotonic() + wait
    while True:
        account = read_account(url)
        # Anew each time: the recent buyers depend on the day.
        expected = expectation(rows.tables, site, at=datetime.now(UTC), erased=gone, history=rows.history)
        found, others = (
            compare(
                one,
                account,
                site,
                opted_in_ever=rows.opted_in_ever,
                preexisting=before,
                unsubscribed_there=left,
                moved_here=moved,
            )
            for one in (expected, expected.one_answer())
        )
        if not found or time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_AGAIN_SECONDS)  # an account tells nobody when it has changed
    shown = [redacted(difference, site, None if show_personal_data else hash_key) for difference in found[:limit]]
    summary: dict[str, Any] = {
        "contacts": len(expected.contacts),
        "records": len(expected.orders),
        "catalogue": len(expected.catalogue),
        "recent_buyers": sum(due == "in" for due in expected.recent_buyers.values()),
        "follow_ups": sum(map(len, expected.follow_ups.values())),
        "held_orders": dict(sorted(expected_held(rows.tables, site, rows.history).items())),
        "differences": len(found),
        "other_answers": len(others) - len(found),
        "by_kind": dict(Counter(difference.kind for difference in found).most_common()),
        "by_field": dict(Counter(difference.field for difference in found).most_common()),
        "shown": shown,
    }
    if as_json:
        typer.echo(orjson.dumps(summary, option=orjson.OPT_INDENT_2, default=str).decode())
    else:
        _print(summary)
    if found:
        raise typer.Exit(ExitCode.CHANGES)


def _addresses(file: Path) -> frozenset[str]:
    try:
        return frozenset(line.strip().lower() for line in file.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise OwddError(f"{file}: cannot be read: {error}") from error


def _print(summary: dict[str, Any]) -> None:
    held = sum(summary["held_orders"].values())
    sizes = (
        f"{summary['contacts']:,} contacts ({summary['recent_buyers']:,} recent buyers), {summary['records']:,} orders, "
        f"{summary['catalogue']:,} catalogue records, {summary['follow_ups']:,} follow-ups"
    )
    if not summary["differences"]:
        also = f" {summary['other_answers']:,} values are the other right answer." if summary["other_answers"] else ""
        output.line(f"{sizes} match the rows; {held:,} orders held.{also} No difference.")
        return
    columns = ("kind", "contact", "key", "field", "expected", "actual")
    rows = [[row[name] for name in columns] for row in summary["shown"]]
    output.print_table(columns, rows)
    output.line(f"{summary['differences']:,} differences in {sizes}; {held:,} orders held.")
    for counts in (summary["by_kind"], summary["by_field"]):
        output.line(", ".join(f"{name}: {count:,}" for name, count in counts.items()))

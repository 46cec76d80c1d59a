"""``owdd erase``: erase a person, and prove it."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson
import typer

from streams.capture.addresses import address_field
from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson
from streams.core.clock import SystemClock
from streams.core.errors import OwddError
from streams.core.files import write_private
from streams.domain.digester import Digester
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.messages.audit import ErasureRequested
from streams.messages.audit_log import AuditLog
from streams.messages.erasure_requests import ErasureRequest, ErasureRequests, erasure_of
from streams.messages.generation_log import known_generations
from streams.messages.topics import Topics
from streams.operations.erasure_preview import ErasurePreview, preview
from streams.operations.erasure_receipt import Receipt, receipts
from streams.operations.site_setup import check_erasure_key
from streams.settings import Settings


def erase(
    email: Annotated[str | None, typer.Option(help="The e-mail address of the person.")] = None,
    email_file: Annotated[
        Path | None, typer.Option(dir_okay=False, allow_dash=True, help="A file with one address a line; - is standard input.")
    ] = None,
    execute: Annotated[bool, typer.Option("--execute/--dry-run", help="Erase; default: only show what is known.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the results of every stage and of Dotdigital.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Longest wait, in seconds.")] = 300.0,
    receipt: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where to write the receipts. Default, with --wait: erasure-TIME.json.")
    ] = None,
    operator: Annotated[str | None, typer.Option(help="Your name, for the audit topic. Default: the system's user.")] = None,
    as_json: AsJson = False,
) -> None:
    """Erase a person everywhere, for ever: in Dotdigital, in our state, and in later changes. It cannot be undone.

    Exit code 0: erased, or requested if --wait was not given; 2: nothing was done, because --execute was not given; 7: not
    all results arrived in time (the erasure continues).
    """
    settings, _ = load()
    persons = _persons(email, email_file)
    digest = Digester(*settings.erasure_keys)
    if not execute:
        _show(asyncio.run(preview(settings, persons, digest)), as_json=as_json)
        raise typer.Exit(ExitCode.CHANGES)
    found = asyncio.run(_erase(settings, persons, digest, operator_name(operator), timeout if wait else 0.0))
    target = receipt or (Path(f"erasure-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json") if wait else None)
    if target is not None:
        _write(target, found)
    finished = sum(item.finished_at is not None for item in found)
    if as_json:
        output.raw(_json(found).decode() + "\n")
    elif wait:
        output.line(f"{finished:,} of {len(found):,} erased everywhere. Receipts: {target}")
    else:
        output.line(f"{len(found):,} erasures requested.")
    if wait and finished < len(found):
        raise typer.Exit(ExitCode.UNFINISHED)


async def _erase(settings: Settings, persons: list[str], digest: Digester, by: str, patience: float) -> list[Receipt]:
    # A foreign digest would end every worker that reads it, and no configuration would repair that.
    await check_erasure_key(settings)
    topics, partitions = Topics.of(settings.app_id, settings.generation), settings.partitions
    async with (
        BatchProducer(settings) as producer,
        receipts(KafkaConfig.of(settings), topics.audit, partitions) as answers,
    ):
        generations = (await known_generations(settings)).working
        erasures, audit = ErasureRequests(producer, topics, partitions), AuditLog.of(settings, producer)
        requests = []
        for address in persons:
            mark, now = digest(address), SystemClock().now_ms()
            request = ErasureRequested(now, by, mark.hex())
            await audit.write(request, request.digest.encode())
            await erasures.remember(mark, ErasureRequest(now, by, digest.key_id))
            await erasures.start(erasure_of(address, mark, now), generations)
            requests.append(request)
        return await answers.wait(requests, generations, patience)


def _persons(email: str | None, file: Path | None) -> list[str]:
    """The normalised addresses, each once.

    Raises:
        OwddError: there is none, or one is not valid; the message has its line, not the address.
    """
    if (email is None) == (file is None):
        raise OwddError("give the address: either --email or --email-file")
    lines = [email] if email is not None else _lines(file)
    found: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        if not (line or "").strip():
            continue
        address = address_field(line, "e-mail").found
        if len(address) != 1:
            raise OwddError(f"line {number} is not one e-mail address; nothing was done")
        found[address[0]] = None
    if not found:
        raise OwddError("there is no address to erase")
    return list(found)


def _lines(file: Path | None) -> list[str]:
    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else Path(str(file)).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OwddError(f"{file}: cannot be read: {type(error).__name__}") from None
    return text.splitlines()


def _write(target: Path, found: list[Receipt]) -> None:
    try:
        write_private(target, _json(found) + b"\n")
    except OSError as error:
        raise OwddError(f"{target}: the receipts cannot be written: {type(error).__name__}") from None


def _json(found: list[Receipt]) -> bytes:
    return orjson.dumps([_readable(msgspec.to_builtins(item)) for item in found], option=orjson.OPT_INDENT_2)


def _readable(value: Any, name: str = "") -> Any:
    """Epoch milliseconds, in members whose name ends in ``_at``, as UTC text."""
    if isinstance(value, dict):
        return {key: _readable(item, key) for key, item in value.items()}
    if name.endswith("_at") and value is not None:
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _show(found: list[ErasurePreview], *, as_json: bool) -> None:
    if as_json:
        rows = [asdict(item) | {"asked": None if item.asked is None else msgspec.to_builtins(item.asked)} for item in found]
        output.print_json(rows)
        return
    for item in found:
        asked = "not requested before" if item.asked is None else f"requested before by {item.asked.by}"
        output.line(f"{item.hash}: {item.buyers} buyers have the address; {asked}")
    output.line("Nothing was done. With --execute they are erased for ever.")

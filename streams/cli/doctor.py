"""``owdd doctor``: what is wrong with a deployment, and what to do about it."""

import asyncio
from dataclasses import asdict

import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson
from streams.core.errors import ConfigurationError
from streams.operations.doctor.examine import examine
from streams.operations.doctor.findings import Finding, Patient, failed


def doctor(as_json: AsJson = False) -> None:
    """Look at everything that a deployment needs: ok, warn or fail, with the fix.

    It changes nothing, and workers may run. Exit code 0: nothing fails; 2: something does.
    """
    try:
        settings, mapping = load()
    except ConfigurationError as error:
        found = [failed("configuration", error)]
        if not as_json:
            _print(found[0])
    else:
        found = asyncio.run(_examined(Patient(settings, mapping), as_json=as_json))
    if as_json:
        output.print_json([asdict(finding) for finding in found])
    else:
        count = {state: sum(finding.state == state for finding in found) for state in ("ok", "warn", "fail")}
        output.line(f"{count['ok']} ok, {count['warn']} to look at, {count['fail']} wrong")
    if any(finding.state == "fail" for finding in found):
        raise typer.Exit(ExitCode.CHANGES)


async def _examined(patient: Patient, *, as_json: bool) -> list[Finding]:
    found = []
    async for finding in examine(patient):
        found.append(finding)
        if not as_json:
            _print(finding)
    return found


def _print(finding: Finding) -> None:
    output.line(f"{finding.state:4}  {finding.check}: {finding.text}")
    if finding.fix:
        output.line(f"      → {finding.fix}{f': {finding.command}' if finding.command else ''}")

"""The demonstration behind real capture, small: it converges, reports, and leaves nothing running."""

from pathlib import Path

import orjson
from typer.testing import CliRunner

from streams.cli import app
from testkit.local_services import connect, kafka, postgres


def test_the_demonstration_converges_and_stops_everything(tmp_path: Path) -> None:
    report, directory = tmp_path / "report.json", tmp_path / "demo"
    options = ["--customers", "30", "--orders", "150", "--rate", "0", "--report", str(report), "--directory", str(directory)]
    result = CliRunner().invoke(app, ["demo-cdc", *options])
    assert result.exit_code == 0, result.output
    found = orjson.loads(report.read_bytes())
    assert found["converged"]
    assert found["contacts"] > 30
    assert found["events"] > 1000
    assert postgres.status(directory / "postgres").state == "stopped"
    assert connect.status(directory / "connect").state == "stopped"
    assert kafka.status(directory / "kafka").state == "stopped"
    assert "Summary" in result.output

"""The README's section "Running it", copied line by line into a shell, reaches an account that holds what the rows say."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from testkit.local_services import kafka
from testkit.local_services.jars import cache_dir
from testkit.local_services.ports import free_port
from testkit.simulate import read_truth
from testkit.simulate.truth import Truth
from tests.stack.conftest import ROOT


def lines() -> list[str]:
    """The commands of the block, in order."""
    section = (ROOT / "README.md").read_text().partition("\n## Running it\n")[2]
    found = re.search(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1].splitlines()


@pytest.mark.timeout(480)
def test_the_commands_lead_to_an_account_that_equals_the_rows(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    home = tmp_path / "home"
    home.mkdir()
    sandbox = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "OWDD_CACHE_DIR": str(cache_dir()),
        "OWDD_SECRETS_DIR": str(tmp_path / "none"),
        # Ports may be taken where tests run: what the README says for that case.
        "OWDD_METRICS_PORT": "0",
        # Everything that a log may ever show.
        "OWDD_LOG_JSON": "true",
        "OWDD_LOG_LEVEL": "debug",
        "OWDD_DOTDIGITAL_URL": f"http://127.0.0.1:{sandbox}",
    }
    script = ["set -e"]
    for line in lines():
        if line.startswith("owdd kafka start"):
            # A reader copies the line that it prints if the port is taken.
            line = (
                'printed=$(owdd kafka start); echo "$printed"; eval "$(echo "$printed" | sed -n "s/.*\\(export .*\\)/\\1/p")"'
            )
        elif line.startswith("owdd sandbox"):
            line = line.replace("owdd sandbox", f"owdd sandbox --port {sandbox}", 1)
        script.append(line)
    # Interactive, so that the shell numbers its jobs as a reader's does.
    with subprocess.Popen(
        [shutil.which("bash") or "bash", "-m", "-c", "\n".join(script)],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            output = shell.communicate(timeout=420)[0]
        finally:
            _end_session(shell.pid)
            kafka.stop(checkout / "data" / "kafka")
    log = checkout / "owdd.log"
    assert shell.returncode == 0, f"{output}\n{log.read_text()[-3000:] if log.exists() else ''}"
    assert "No difference" in output
    assert {path.name for path in checkout.iterdir()} == {".venv", "data", "owdd.log", "sandbox.log", "truth.json"}
    assert (checkout / "data" / "kafka").is_dir()
    log_is_structured_and_names_nobody(log.read_text(), read_truth(checkout / "truth.json"))
    assert not [path for path in home.rglob("*") if path.is_file()], "nothing is written outside the checkout and the cache"


def log_is_structured_and_names_nobody(text: str, truth: Truth) -> None:
    """Every line is JSON, and none has an address of the shop, at any level."""
    events = [json.loads(line) for line in text.splitlines()]
    assert {event["level"] for event in events} >= {"info"}
    rows = [row for table in truth.tables.values() for row in table.values()]
    addresses = {value.lower() for row in rows for value in row.values() if isinstance(value, str) and "@" in value}
    assert len(addresses) > 100
    assert not [address for address in addresses if address in text.lower()]


def _end_session(session: int) -> None:
    """Kill what a failed run has left; each job has a process group of its own, so the whole session is looked through."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == session:
                os.kill(int(entry.name), signal.SIGKILL)
        except ProcessLookupError:
            continue

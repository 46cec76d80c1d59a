"""A real headless Chromium, driven over the WebDriver protocol, and axe-core, which looks for what people cannot use.

Both are Debian's programs (``chromium``, ``chromium-driver``) and npm's package, locked in ``package-lock.json``. Where one is
missing the tests say so and are skipped.
"""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from testkit.local_services.jars import cache_dir, file_lock
from testkit.local_services.ports import free_port

HERE = Path(__file__).parent
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
_NO_SCRIPT = {"profile.managed_default_content_settings.javascript": 2}


def browser_programs() -> tuple[str, str]:
    """Chromium and its driver; skips with the packages' names where they are missing."""
    found = shutil.which("chromium"), shutil.which("chromedriver")
    if found[0] is None or found[1] is None:
        pytest.skip("no browser on this machine: install Debian's packages chromium and chromium-driver to run this test")
    return found[0], found[1]


def axe_source() -> str:
    """The script of axe-core, as npm's lock file names it; fetched once a machine."""
    lock = json.loads((HERE / "package-lock.json").read_text())
    version = lock["packages"]["node_modules/axe-core"]["version"]
    kept = cache_dir() / f"axe-core-{version}"
    script = kept / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        if (npm := shutil.which("npm")) is None:
            pytest.skip("no npm on this machine: install it to run this test")
        kept.mkdir(parents=True, exist_ok=True)
        with file_lock(kept.with_name(f"{kept.name}.lock")):
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, kept / name)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=kept, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    return script.read_text()


@dataclass
class Browser:
    """One window."""

    http: httpx.AsyncClient
    session: str

    async def _do(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        content = None if method == "GET" else json.dumps(body or {})
        answer = (await self.http.request(method, f"/session/{self.session}{path}", content=content)).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    async def go(self, address: str) -> float:
        """Load a page; how long that took, in seconds, from the request to the last byte drawn."""
        await self._do("POST", "/url", {"url": address})
        spent = "const n = performance.getEntriesByType('navigation')[0]; return n.loadEventEnd - n.startTime"
        return float(await self.run(spent)) / 1000

    async def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return await self._do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    async def violations(self, axe: str) -> list[str]:
        """What axe-core finds wrong, one line for each rule and place."""
        await self.run(axe + "; return true")
        script = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations))"
        found = await self._do("POST", "/execute/async", {"script": script, "args": []})
        return [f"{rule['id']}: {node['html'][:120]} {node['failureSummary']}" for rule in found for node in rule["nodes"]]

    async def errors(self) -> list[str]:
        """What the console of the browser says since the last time: errors of scripts, of policies, of missing files."""
        found = await self._do("POST", "/se/log", {"type": "browser"})
        return [f"{line['level']}: {line['message']}" for line in found if line["level"] in ("WARNING", "SEVERE")]

    async def keys(self, text: str) -> None:
        """Type on the keyboard, whatever has the focus."""
        steps = [step for key in text for step in ({"type": "keyDown", "value": key}, {"type": "keyUp", "value": key})]
        await self._do("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    async def left(self, path: str) -> None:
        """Wait until the window shows another page, whole."""
        await self._until("return location.pathname !== arguments[0] && document.readyState === 'complete'", path)

    async def focused(self, element: str) -> None:
        """Wait until the element with this id has the focus: a browser gives it only after it has drawn the page."""
        await self._until("return document.activeElement !== null && document.activeElement.id === arguments[0]", element)

    async def _until(self, script: str, *arguments: Any) -> None:
        async with asyncio.timeout(120):
            while not await self.run(script, *arguments):
                await asyncio.sleep(0.05)  # it polls a browser that loads

    async def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        await self._do("POST", "/window/rect", {"width": width, "height": height})

    async def dark(self, *, on: bool) -> None:
        """As a person who prefers dark pages, or light ones."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        body = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}
        await self._do("POST", "/goog/cdp/execute", body)

    async def picture(self, file: Path) -> None:
        """The whole page as an image."""
        height = await self.run("return document.documentElement.scrollHeight")
        width = await self.run("return document.documentElement.clientWidth")
        shot = {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}
        answer = await self._do("POST", "/goog/cdp/execute", {"cmd": "Page.captureScreenshot", "params": shot})
        file.write_bytes(base64.b64decode(answer["data"]))


@asynccontextmanager
async def browser(*, scripts: bool = True) -> AsyncIterator[Browser]:
    """A fresh browser with a profile of its own; without ``scripts`` pages may run none."""
    chromium, driver = browser_programs()
    port = free_port()
    with TemporaryDirectory() as profile:
        program = await asyncio.create_subprocess_exec(
            driver, f"--port={port}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as http:
                await _until_it_answers(http)
                options: dict[str, Any] = {
                    "binary": chromium,
                    "args": [*_FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"],
                }
                if not scripts:
                    options["prefs"] = _NO_SCRIPT
                wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
                answer = (await http.post("/session", json={"capabilities": {"alwaysMatch": wanted}})).json()["value"]
                assert "sessionId" in answer, answer
                try:
                    yield Browser(http, answer["sessionId"])
                finally:
                    await http.delete(f"/session/{answer['sessionId']}")
        finally:
            program.terminate()
            await program.wait()


async def _until_it_answers(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await http.get("/status")
            except httpx.TransportError:
                await asyncio.sleep(0.05)  # it polls a program that starts
            else:
                return

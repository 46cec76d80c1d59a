"""The console in a real browser: usable by everybody, without errors, fast, and the same without JavaScript.

``OWDD_CONSOLE_PICTURES`` names a directory for pictures of every page, light, dark and narrow.
"""

import asyncio
import os
from pathlib import Path

import pytest

from tests.agents.pipeline import ANN, BOB
from tests.console.browser import Browser, axe_source, browser, browser_programs
from tests.console.conftest import PASS, Console
from tests.patience import PATIENCE

PICTURES = os.environ.get("OWDD_CONSOLE_PICTURES")
TAB, ENTER = "\ue004", "\ue007"
MOST_SECONDS = 1.0


async def sign_in(window: Browser, console: Console) -> None:
    await window.go(f"{console.url}/sign-in")
    # The field has the focus by itself: a person only types.
    await window.focused("token")
    await window.keys(PASS + ENTER)
    await window.left("/sign-in")


async def find(window: Browser, console: Console, text: str) -> str:
    """Search as people do, with the keyboard; the address of the page that comes."""
    await window.go(f"{console.url}/contact")
    await window.run("document.getElementById('q').focus()")
    await window.keys(text + ENTER)
    await window.left("/contact")
    return str(await window.run("return location.href"))


async def look(window: Browser, name: str) -> list[str]:
    """Everything that axe-core and the browser complain of, light and dark, wide and narrow."""
    complaints = []
    for dark in (False, True):
        await window.dark(on=dark)
        for width in (1280, 390):
            await window.resize(width, 900)
            complaints += [
                f"{name} {width} {'dark' if dark else 'light'}: {text}" for text in await window.violations(axe_source())
            ]
            sideways = await window.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            complaints += [f"{name} {width}: {sideways} px too wide"] if sideways > 0 else []
            if PICTURES:
                file = Path(PICTURES) / f"{name}-{width}-{'dark' if dark else 'light'}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                await window.picture(file)
    await window.resize(1280, 900)
    return complaints + [f"{name}: {text}" for text in await window.errors()]


async def test_every_page_can_be_used_by_everybody_and_nothing_goes_wrong_on_it(console: Console) -> None:
    browser_programs()
    axe_source()
    async with browser() as window:
        await window.go(f"{console.url}/sign-in")
        complaints = await look(window, "sign-in")
        await sign_in(window, console)
        pages = {
            "today": f"{console.url}/",
            "set-aside": f"{console.url}/set-aside",
            "set-aside-nothing": f"{console.url}/set-aside?kind=removals",
            "search": f"{console.url}/contact",
            "contact": await find(window, console, ANN),
            "contact-refused": await find(window, console, BOB),
            "missing": f"{console.url}/contact/0123456789abcdef",
        }
        for name, address in pages.items():
            await window.go(address)
            if name == "missing":
                await window.errors()  # a browser notes each page with status 404
            complaints += await look(window, name)
    assert not complaints, "\n".join(complaints)


async def test_each_page_is_there_within_a_second(console: Console) -> None:
    browser_programs()
    async with browser() as window:
        await sign_in(window, console)
        contact = await find(window, console, ANN)
        for address in (f"{console.url}/", f"{console.url}/set-aside", f"{console.url}/contact", contact):
            # Other tests on the machine slow single visits down; a page that is slow itself never comes in time.
            async with asyncio.timeout(PATIENCE):
                while await window.go(address) > MOST_SECONDS:
                    pass


async def test_without_javascript_it_is_the_same(console: Console) -> None:
    browser_programs()
    async with browser(scripts=False) as window:
        await sign_in(window, console)
        address = await find(window, console, "SO11")
        assert "/contact/" in address
        shown = await window.run("return document.body.innerText")
    assert ANN in shown
    assert "Dotdigital has what Orderwise says" in shown


@pytest.mark.parametrize("page", ["/", "/set-aside", "/contact"])
async def test_the_keyboard_reaches_the_content_first_and_everything_after(console: Console, page: str) -> None:
    browser_programs()
    async with browser() as window:
        await sign_in(window, console)
        await window.go(f"{console.url}{page}")
        await window.keys(TAB)
        assert await window.run("return document.activeElement.textContent") == "Skip to content"
        await window.keys(ENTER)
        assert await window.run("return location.hash") == "#main"

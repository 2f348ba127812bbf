"""The web view's page in a real browser, with the program running on the demo."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.helpers.browser import CHROMIUM, Tab, browser_tab
from tests.helpers.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

TOKEN = "a-token-for-tests-only"
FRAME = "Number(document.querySelector('#clock')?.textContent.match(/^frame (\\d+)/)?.[1] ?? -1)"
LINK = "document.querySelector('#link')?.dataset.state"
SHARES = "[...document.querySelectorAll('#bars .share')].map((one) => one.textContent).join()"
EVENTS = "[...document.querySelectorAll('#events li[data-accepted=true]')].map((one) => one.innerText)"
PICTURE = """(() => {
  const canvas = document.querySelector('#picture');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(pixels).size;
})()"""
CHART = """(() => {
  const canvas = document.querySelector('#chart');
  const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  return new Set(pixels).size;
})()"""


@contextlib.contextmanager
def program(*argv: str) -> Iterator[str]:
    """The program on the demo; the address that it prints."""
    command = [sys.executable, "run_live.py", "--source", "demo", "--headless", *argv]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            found = next(match for line in process.stdout if (match := re.search(r"Web view: (\S+)", line)))
            yield found[1]
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def page(*argv: str) -> AsyncIterator[tuple[Tab, str]]:
    """The program's page and its address. The browser comes first: the demo does not wait for it."""
    async with browser_tab() as tab:
        await tab.size(1280, 900)
        with program(*argv) as url:
            await tab.open(url)
            yield tab, url


def test_the_page_shows_the_run() -> None:
    async def look() -> None:
        async with page("--serve", "0") as (tab, url):
            first = await tab.until(FRAME, lambda frame: frame >= 0)
            assert await tab.run(PICTURE) > 50
            shares = await tab.until(SHARES, lambda text: "%" in text)
            await tab.until(SHARES, lambda text: "%" in text and text != shares)
            await tab.until(FRAME, lambda frame: frame > first + 10)
            events = await tab.until(EVENTS, lambda found: len(found) >= 1)
            assert "micro" in events[0] and re.search(r"0\.\d\d s at \d", events[0])
            assert await tab.run(CHART) > 20
            text = await tab.run("document.body.innerText")
            for words in ("does not detect lies", "synthetic", "UF1", "classified", "demo", "Health of the run"):
                assert words in text
            assert await tab.run(LINK) == "live"
            await look_at_all_widths(tab)
            await use_the_keyboard(tab)
            origin = url.split("/")[2]
            assert {address.split("/")[2] for address in tab.requests} == {origin}
            assert tab.complaints == []

    asyncio.run(look())


async def look_at_all_widths(tab: Tab) -> None:
    grounds: set[str] = set()
    for scheme in ("light", "dark"):
        await tab.scheme(scheme)
        grounds.add(await tab.run("getComputedStyle(document.body).backgroundColor"))
        for width, height in ((1600, 900), (800, 600), (320, 640)):
            await tab.size(width, height, mobile=width < 500)
            assert await tab.run("document.documentElement.scrollWidth") <= width
    assert len(grounds) == 2


async def use_the_keyboard(tab: Tab) -> None:
    """Tab to the first button, Enter: the view stands still; again: it goes on."""
    await tab.press("Tab", "Tab", 9)
    assert await tab.run("document.activeElement.id") == "pause"
    await tab.press("Enter", "Enter", 13, "\r")
    assert await tab.run("document.querySelector('#pause').getAttribute('aria-pressed')") == "true"
    assert await tab.run("document.querySelector('#link').textContent") == "view paused"
    await tab.press("Enter", "Enter", 13, "\r")
    frame = await tab.run(FRAME)
    await tab.until(FRAME, lambda now: now > frame)


def test_marks_of_an_experiment_are_drawn(tmp_path: Path) -> None:
    async def look() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, socket.socket(type=socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            free.close()
            marks = ("--marker-port", str(port), "--markers", str(tmp_path / "marks.jsonl"))
            async with page("--serve", "0", *marks) as (tab, _):
                await tab.until(FRAME, lambda frame: frame > 10)
                sender.sendto(b'{"mark": "stimulus 3"}', ("127.0.0.1", port))
                words = await tab.until("document.querySelector('#clock').textContent", lambda text: "mark" in text)
                assert re.search(r"mark “stimulus 3” at \d+\.\d\d s", words)
                assert tab.complaints == []

    asyncio.run(look())


def test_the_page_comes_back_by_itself() -> None:
    async def look() -> None:
        async with browser_tab() as tab:
            with program("--serve", "0", "--serve-token", TOKEN) as url:
                await tab.open(url)
                await tab.until(LINK, lambda state: state == "live")
            await tab.until(LINK, lambda state: state == "waiting")
            assert "trying again" in await tab.run("document.querySelector('#link').textContent")
            port = url.split(":")[2].split("/")[0]
            with program("--serve", port, "--serve-token", TOKEN):
                await tab.until(LINK, lambda state: state == "live")
                # The token is in no address that stays, and no script can read it.
                assert TOKEN not in await tab.run("location.href + document.cookie")

    asyncio.run(look())


def test_the_end_of_the_run_is_shown() -> None:
    async def look() -> None:
        async with page("--serve", "0", "--max-frames", "200") as (tab, _):
            await tab.until(LINK, lambda state: state == "live")
            await tab.until(LINK, lambda state: state == "ended")
            # It goes on trying, and goes on saying why there is nothing.
            while sum(address.endswith("/live") for address in tab.requests) < 3:
                await asyncio.sleep(0.05)
            assert await tab.run("document.querySelector('#link').textContent") == "the run has ended"

    asyncio.run(look())

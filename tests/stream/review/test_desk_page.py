"""The desk's page in a real browser: the made example looked through by keyboard alone, up to an exported `.eaf`."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stream.labels.exchange import read_labels
from stream.labels.label_log import read_label_file
from stream.labels.media_clock import MediaClock
from stream.labels.reviewable import find_reviewables
from tests.helpers.browser import CHROMIUM, Tab, browser_tab
from tests.helpers.review_desk import desk, made_session

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

SAID = "document.querySelector('#said')?.textContent ?? ''"
TITLE = "document.querySelector('#decide-title')?.textContent ?? ''"
CLOCK = "document.querySelector('#clock')?.textContent ?? ''"
ROWS = "[...document.querySelectorAll('#events li')].map((row) => row.innerText.replaceAll('\\n', ' '))"
EMPTY = "document.querySelectorAll('#tiles canvas[data-empty]').length"
COLOURS = """[...document.querySelectorAll('#tiles canvas')].map((canvas) =>
  new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size)"""
SPECIAL = {"ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "ArrowUp": 38, "Escape": 27, "PageDown": 34, "Tab": 9}


async def press(tab: Tab, key: str) -> None:
    if key in SPECIAL:
        await tab.press(key, key, SPECIAL[key])
    elif key == "Enter":
        await tab.press("Enter", "Enter", 13, "\r")
    else:
        await tab.press(key, "", ord(key.upper()), key)


async def keys(tab: Tab, *pressed: str) -> None:
    for key in pressed:
        await press(tab, key)


async def said(tab: Tab, words: str) -> None:
    await tab.until(SAID, lambda text: words in text)


@contextlib.asynccontextmanager
async def page(*argv: object, folder: Path, size: tuple[int, int] = (1280, 720)) -> AsyncIterator[Tab]:
    async with browser_tab() as tab:
        await tab.size(*size)
        with desk(*argv, folder=folder) as (_, url):
            await tab.open(url)
            await tab.until("document.body?.dataset.open === '0'")
            yield tab


def test_the_example_by_keyboard_alone(tmp_path: Path) -> None:
    async def review() -> None:
        async with page("demo", "--coder", "eva", folder=tmp_path) as tab:
            # The first expression that the program accepted: surest first.
            await press(tab, "l")
            await said(tab, "by probability")
            await press(tab, "k")
            while not (await tab.run(SAID)).startswith("this is the first"):
                await press(tab, "k")
            first = (await tab.run(TITLE)).split()[0]
            await tab.until(EMPTY, lambda count: count == 0)
            assert min(await tab.run(COLOURS)) > 40
            await keys(tab, " ", "s")
            await said(tab, "speed 0.5")
            moving = await tab.run(CLOCK)
            await tab.until(CLOCK, lambda text: text != moving)
            await press(tab, " ")
            await press(tab, "a")
            await said(tab, f"{first} accepted (kept, line 1)")
            await press(tab, "3")
            await said(tab, f"{first} is surprise (kept, line 2)")
            await keys(tab, "u", *"1 l2", "Enter")
            await said(tab, "has action units 1 L2 (kept, line 3)")
            await press(tab, "ArrowLeft")
            before = await tab.run(CLOCK)
            await press(tab, "ArrowRight")
            await tab.until(CLOCK, lambda text: text != before)
            # The handle, reached by Tab, moves by a frame.
            await tab.run("document.querySelector('#gain').focus()")
            await press(tab, "Tab")
            assert await tab.run("document.activeElement.dataset.handle") == "onset_s"
            onset = float(await tab.run("document.activeElement.getAttribute('aria-valuenow')"))
            await press(tab, "ArrowLeft")
            await said(tab, "(kept, line 4)")
            moved = float(await tab.run("document.activeElement.getAttribute('aria-valuenow')"))
            assert 0 < onset - moved < 0.05
            await keys(tab, "n", *"sure", "Enter")
            await said(tab, "has a note (kept, line 5)")
            await press(tab, "j")
            second = await tab.until(TITLE, lambda text: not text.startswith(f"{first} "))
            second = second.split()[0]
            await press(tab, "r")
            await said(tab, f"{second} rejected (kept, line 6)")
            await press(tab, "z")
            await said(tab, f"taken back: the last action on {second} (kept, line 7)")
            # What was missed is added where the recording is looked at.
            await press(tab, "PageDown")
            await tab.until(CLOCK, lambda text: text.startswith("frame 1 of"))
            await keys(tab, "ArrowRight", "ArrowRight", "m")
            await said(tab, "a1 added as surprise (kept, line 8)")
            await press(tab, "?")
            assert await tab.run("document.querySelector('#help').open")
            assert "missed event" in await tab.run("document.querySelector('#help').innerText")
            await press(tab, "Escape")
            await press(tab, "e")
            await said(tab, "labels-eva.eaf")
            assert tab.complaints == []
            folder = tmp_path / "microlive-demo"
            material = find_reviewables([folder])[0]
            exported = read_labels(folder / "labels-eva.eaf", MediaClock.of(material), "eva")
            wanted = [
                one for one in read_label_file(folder / "labels-eva.jsonl").events(material.recorded()) if one.verdict
            ]
            assert [(one.label, one.action_units, one.verdict) for one in exported] == [
                (one.label, one.action_units, one.verdict) for one in wanted
            ]
            assert {first, "a1"} == {one.event for one in wanted}
            mine = next(one for one in wanted if one.event == first)
            assert (mine.label, mine.action_units, mine.note) == ("surprise", ("1", "L2"), "sure")

    asyncio.run(review())


def test_it_fits_everywhere_and_has_names_for_everything(tmp_path: Path) -> None:
    async def look() -> None:
        async with page("demo", "--coder", "eva", folder=tmp_path) as tab:
            for width, height in ((1280, 720), (1024, 768), (420, 860)):
                await tab.size(width, height)
                assert await tab.run("document.documentElement.scrollWidth") <= width
                if width > 1000:
                    # All of it at once: nothing to scroll but the list.
                    assert await tab.run("document.documentElement.scrollHeight") <= height
                    assert await tab.run("document.querySelector('.decide').scrollHeight") <= height
            nameless = """[...document.querySelectorAll('button, input, select, [role=slider], canvas, [role=listbox]')]
              .filter((one) => !(one.getAttribute('aria-label') || one.getAttribute('aria-labelledby') || one.labels?.length
                || one.innerText?.trim())).map((one) => one.outerHTML)"""
            assert await tab.run(nameless) == []
            assert await tab.run("document.querySelector('#said').getAttribute('aria-live')") == "polite"

    asyncio.run(look())


def test_a_blind_page_shows_nothing_of_the_program(tmp_path: Path) -> None:
    async def look() -> None:
        async with page("demo", "--coder", "eva", "--blind", folder=tmp_path) as tab:
            text = await tab.run("document.body.innerText")
            assert "blind" in text and "probability" not in text.replace("by probability", "") and "%" not in text
            assert "anna" not in text and "ben" not in text.lower().split()
            assert await tab.run("document.querySelector('#sensitivity').hidden")
            await press(tab, "a")
            await said(tab, "choose the class first")
            await keys(tab, "2", "a")
            await said(tab, "accepted (kept, line 2)")

    asyncio.run(look())


def test_two_thousand_candidates_are_there_at_once(tmp_path: Path) -> None:
    """And every one of them can be chosen; how fast is told in README."""
    session = made_session(tmp_path / "many", 2000)

    async def look() -> float:
        async with browser_tab() as tab:
            await tab.size(1280, 720)
            with desk(session, "--coder", "eva") as (_, url):
                began_s = time.perf_counter()
                await tab.open(url)
                await tab.until("document.body?.dataset.open === '0'")
                opened_s = time.perf_counter() - began_s
                assert len(await tab.run(ROWS)) == 2000
                await press(tab, "k")
                await press(tab, "j")
                await tab.until(TITLE, lambda text: text.startswith("e2 "))
                await press(tab, "r")
                await said(tab, "e2 rejected")
                return opened_s

    print(f"2000 candidates open in {asyncio.run(look()):.2f} s")

"""The page over a fleet's sessions: its numbers, in headless Chromium too, with thousands of sources."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stream.fleet.fleet_folder import FleetError, FleetFolder
from stream.fleet.fleet_summary import MOST_BINS, TimeCounts, summarise
from stream.fleet.index_page import write_index
from stream.fleet.orders import FleetSource, RecordSettings
from tests.helpers.browser import CHROMIUM, browser_tab
from tests.helpers.fleet_folders import asked, made_session, small_fleet, tell
from tests.helpers.report_page import Page
from tests.helpers.report_sessions import line

MODEL = {"training_data": "made faces", "scores": {"uf1": 0.5}, "disclaimer": "It does not detect lies."}


def happening(source: str, state: str, reason: str = "") -> dict[str, Any]:
    told = {"time": "2026-01-01T00:00:00+00:00", "attempt": 1, "frames": 0, "session": None}
    return {"source": source, "state": state, "reason": reason} | told


def data_of(page: Path) -> dict[str, dict[str, Any]]:
    text = page.read_text(encoding="utf-8").split('id="data">')[1].split("</script>")[0]
    return {row["id"]: row for row in json.loads(text)}


def test_what_sessions_come_to(tmp_path: Path) -> None:
    out = small_fleet(tmp_path)
    run = {
        "frames": 900,
        "fps": 30.0,
        "events": {"watched_min": 2.0},
        "health": {"gaps": 2, "reconnects": 1},
        "dropped": {"source": 3, "web": 4},
    }
    made_session(out, "cam-3/0001", 5, [line(1, 0.5), line(1, 0.7)], run=run, model=MODEL)
    made_session(out, "cam-3/0002", 30, state="killed", run={"frames": 7, "fps": 15.0}, model=MODEL)
    tell(out, happening("cam-3", "running"), happening("cam-3", "restarted", "no word"), happening("cam-3", "running"))
    tell(out, happening("talk.mp4", "failed", "the disk is full"), happening("gone.mp4", "skipped", "no picture in it"))
    found = summarise(FleetFolder(out))
    one = found.source("cam-3")
    # The rows of the killed session are counted, 20 steps of them watchable; its own word is older.
    assert one.frames == 930 and one.watchable_min == pytest.approx(2 + 20 / 30 / 60)
    assert one.fps == pytest.approx(930 / (900 / 30 + 30 / 15))
    assert one.per_min == pytest.approx(2 / (2 + 20 / 30 / 60))
    assert (one.state, one.restarts, one.gaps, one.reconnects, one.dropped) == ("running", 1, 2, 1, 7)
    assert one.sessions == [("sessions/cam-3/0001", "finished", False), ("sessions/cam-3/0002", "killed", False)]
    assert (found.source("talk.mp4").state, found.source("talk.mp4").reason) == ("failed", "the disk is full")
    assert found.source("gone.mp4").sessions == [] and found.source("gone.mp4").watchable_min is None
    assert (found.events, found.wall.total, found.inside.total) == (6, 1, 5)
    assert found.models["Model trained on made faces. Measured: UF1 0.500."] == 2


def test_a_source_is_called_as_it_was_named_and_not_by_its_address(tmp_path: Path) -> None:
    made_session(tmp_path, "ward/0001", 5, source={"name": "rtsp://10.0.0.8/b"})
    sources = {"ward": RecordSettings(), "hall": RecordSettings(label="Hall 2")}
    asked(tmp_path, *(FleetSource(one, "stream", "rtsp://10.0.0.8/b", settings) for one, settings in sources.items()))
    tell(tmp_path, happening("ward", "failed", "rtsp://10.0.0.8/…: no connection"))
    rows = data_of(write_index(tmp_path))
    ward = rows["ward"]
    assert rows["hall"]["name"] == rows["hall"]["address"] == "Hall 2"
    assert (ward["name"], ward["address"], ward["reason"]) == ("ward", "rtsp://10.0.0.8/…", "no connection")
    assert ward["troubles"] == [["no connection", 1]]


def test_the_page_says_what_is_so_and_asks_for_nothing(tmp_path: Path) -> None:
    out = small_fleet(tmp_path)
    bad = "</script><script>alert(1)</script>"
    session = made_session(
        out, "evil/0001", 12, [line(1, 0.3)], model=MODEL | {"disclaimer": bad}, source={"name": bad}
    )
    session.report.write_text("the report")
    made_session(out, "torn/0001", 3).facts.write_text("{")
    tell(out, happening("evil", "failed", bad))
    page = Page(write_index(out))
    assert "alert(1)</script>" not in page.source and page.source.count("<script") == 2
    assert [one for one in page.addresses if not one.startswith("#")] == []
    assert "made faces" in page.text and bad in page.text and "session.json" in page.text
    assert "no real" not in page.text and "5 events" not in page.text
    rows = data_of(out / "index.html")
    assert rows["evil"]["sessions"] == [["sessions/evil/0001", "finished", "sessions/evil/0001/report.html"]]
    assert rows["cam-10"]["sessions"][0][2] == "sessions/cam-10/002/" and rows["cam-10"]["events"] == 1
    assert rows["torn"]["state"] == "unreadable" and rows["torn"]["frames"] == 3


def test_without_sessions_or_with_a_damaged_state_it_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="holds no sessions"):
        write_index(tmp_path)
    small_fleet(tmp_path)
    (tmp_path / "state.jsonl").write_text("x\n{}\n")
    with pytest.raises(FleetError, match=r"state\.jsonl: line 1"):
        write_index(tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_counts_over_time_stay_few_and_lose_nothing() -> None:
    counts = TimeCounts()
    times_s = [1e9 + 37.0 * number for number in range(5000)] + [1e9 - 5e4]
    for time_s in times_s:
        counts.add(time_s)
    bins = counts.bins()
    assert len(bins) <= MOST_BINS and sum(count for _, count in bins) == counts.total == len(times_s)
    for begin_s, count in bins:
        assert count == sum(begin_s <= time_s < begin_s + counts.step_s for time_s in times_s)
    assert TimeCounts().bins() == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_thousands_of_sources_in_a_browser(tmp_path: Path) -> None:
    first = made_session(tmp_path, "cam-0/0001", 12, [line(1, 0.3)], model=MODEL)
    for number in range(1, 2000):
        folder = tmp_path / "sessions" / f"cam-{number}" / "0001"
        folder.mkdir(parents=True)
        for path in (first.facts, first.frames):
            (folder / path.name).hardlink_to(path)
        (folder / "events.jsonl").write_text("" if number % 2 else json.dumps(line(1, 0.3)) + "\n")
    tell(tmp_path, *(happening(f"cam-{number}", "failed", "no light") for number in (7, 1900)))
    page = write_index(tmp_path)
    names = "[...document.querySelectorAll('#sources tbody tr:not(.details)')].map((row) => row.dataset.id)"

    async def look() -> None:
        async with browser_tab() as tab:
            await tab.size(1200, 900)
            await tab.open(page.as_uri())
            shown = await tab.until(names, lambda found: found is not None and len(found) == 100)
            assert shown[:3] == ["cam-0", "cam-1", "cam-2"]
            await tab.run("document.querySelector('#on').click()")
            assert (await tab.run(names))[0] == "cam-100"
            await tab.run("document.querySelector('[data-name=events]').click()")
            assert (await tab.run(names))[:3] == ["cam-0", "cam-2", "cam-4"]
            await tab.run("by('find').value = 'no LIGHT'; by('find').dispatchEvent(new Event('input'))")
            assert await tab.run(names) == ["cam-1900", "cam-7"]
            assert await tab.run("document.querySelector('#count').textContent") == "2 of 2000 sources"
            await tab.run("document.querySelector('.opens').click()")
            assert "no light" in await tab.run("document.querySelector('.details').innerText")
            assert await tab.run("document.querySelector('#sources tbody a').textContent") == "cam-1900"
            assert await tab.run("document.activeElement.getAttribute('aria-expanded')") == "true"
            for width in (390, 1200):
                await tab.size(width, 800)
                assert await tab.run("document.documentElement.scrollWidth <= innerWidth")
            assert tab.complaints == [] and [url for url in tab.requests if not url.startswith("file:")] == []

    asyncio.run(look())

"""The report of a session: what it reads, what it says, and how a browser sees it."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.types import FaceCrop
from stream.session.event_pictures import EventPictures
from stream.session.event_sheet import EventSheet, RecentCrops
from stream.session.frame_rows import MOST_BUCKETS, Buckets, Latencies, read_events, read_marks, read_rows
from stream.session.report import MOST_PICTURES, write_report
from stream.session.report_text import false_alarms, health_rows
from stream.session.session_folder import SessionError, SessionFolder
from stream.session.time_chart import Scale, clock, timeline
from tests.helpers.browser import CHROMIUM, browser_tab
from tests.helpers.faces import portrait
from tests.helpers.happenings import event, moment, seen
from tests.helpers.models import tiny_contract
from tests.helpers.report_page import Page
from tests.helpers.report_sessions import MOVED, REST, line, made, row
from tests.helpers.sessions import accepted_of, demo_frames, material, run


def test_rows_are_counted_by_frames_and_first_faces(tmp_path: Path) -> None:
    rows = [row(0, 0.0, None, "no_face"), row(1, 0.1, REST), row(1, 0.1, MOVED, track=2), row(2, 0.2, MOVED)]
    found = read_rows(made(tmp_path / "s", rows))
    assert (found.rows, found.frames, found.faces, found.duration_s) == (4, 3, 2, pytest.approx(0.2))
    assert found.statuses == {"no_face": 1, "ok": 2} and found.labels == {"neutral": 1, "surprise": 1}
    assert found.latencies.percentile(50) == pytest.approx(8.0, abs=0.06) and found.latencies.count == 2
    highest = [bucket.highest for _, bucket in found.buckets.items()]
    assert highest == [[-1.0] * 4, list(REST), list(MOVED)]


def test_a_clock_that_was_set_anew_goes_on(tmp_path: Path) -> None:
    times = [5.0, 5.1, 1000.0, 1000.1, 3.0, 3.1]
    found = read_rows(made(tmp_path / "s", [row(i, t, REST) for i, t in enumerate(times)]))
    assert found.duration_s == pytest.approx(0.3 + 2 / 30) and found.frames == 6


@pytest.mark.parametrize("frames", [10, MOST_BUCKETS * 2, MOST_BUCKETS * 9 + 7])
def test_a_long_run_is_no_more_than_so_many_buckets_and_keeps_its_peaks(frames: int) -> None:
    buckets = Buckets(2, 1 / 60)
    for index in range(frames):
        peak = 0.9 if index == frames // 3 else 0.2
        buckets.add(index / 60, (peak, 1 - peak), "ok" if index % 2 else "filling")
    items = list(buckets.items())
    assert len(items) <= MOST_BUCKETS and sum(b.statuses.total() for _, b in items) == frames
    peaks = [time_s for time_s, bucket in items if bucket.highest[0] == 0.9]
    assert len(peaks) == 1 and abs(peaks[0] - frames // 3 / 60) <= buckets.step_s


def test_percentiles_are_those_of_all_times() -> None:
    rng = np.random.default_rng(2)
    times = rng.gamma(3.0, 4.0, 5000)
    latencies = Latencies()
    for ms in times.tolist():
        latencies.add(ms)
    for percent in (50, 95, 99):
        assert latencies.percentile(percent) == pytest.approx(np.percentile(times, percent), abs=0.15)
    assert Latencies().percentile(50) is None


@pytest.mark.parametrize("cut", ["1,0.1", "1,0.1,1,ok,neutral,0.7,0.1,0.1,x,0.7,8", "\x00"])
def test_a_last_row_that_was_cut_off_is_left_out(cut: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "s", [row(0, 0.0, REST)])
    with folder.frames.open("a") as file:
        file.write(cut)
    assert read_rows(folder).rows == 1
    with folder.frames.open("a") as file:
        file.write("\n" + ",".join(map(str, row(2, 0.2, REST))) + "\n")
    with pytest.raises(SessionError, match="line 3 is no row of it"):
        read_rows(folder)


@pytest.mark.parametrize("cut", ['{"kind": "mi', "[1]", '{"kind": "micro"}'])
def test_a_last_event_that_was_cut_off_is_left_out(cut: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "s", [], [line(1, 1.0)])
    with folder.events.open("a") as file:
        file.write(cut)
    assert len(list(read_events(folder))) == 1
    with folder.events.open("a") as file:
        file.write("\n" + json.dumps(line(2, 2.0)) + "\n")
    with pytest.raises(SessionError, match="line 2 is not what belongs there"):
        list(read_events(folder))


def test_marks_without_a_time_are_left_out(tmp_path: Path) -> None:
    folder = made(tmp_path / "s", [])
    assert list(read_marks(folder)) == []
    folder.markers.write_text('{"mark": "a", "time_s": null}\n{"mark": "b", "time_s": 1.5}\n')
    assert [mark["mark"] for mark in read_marks(folder)] == ["b"]


def test_what_is_no_session_is_one_line(tmp_path: Path) -> None:
    folder = made(tmp_path / "s", [])
    folder.frames.write_text("a,b\n1,2\n")
    with pytest.raises(SessionError, match="expected the columns of a run's rows, found a, b"):
        write_report(folder)
    assert run("--report", tmp_path) == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"model": 5},
        {"model": {"scores": []}},
        {"model": {"fps": "x"}},
        {"model": {"class_names": 3}},
        {"source": "camera"},
        {"source": {"fps": True}},
        {"run": {"times": {"crop": {"p50_ms": 1.0}}}},
        {"run": {"times": {"crop": {"p50_ms": 1, "p95_ms": 1, "p99_ms": 1, "count": float("inf")}}}},
        {"run": {"events": {"watched_min": []}}},
        {"packages": ["numpy"]},
        {"settings": {"max_faces": 0}},
    ],
)
def test_facts_of_other_kinds_are_one_line(tmp_path: Path, facts: dict, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "s", [row(0, 0.0, REST)], **facts)
    assert run("--report", tmp_path / "s") == 1
    err = capsys.readouterr().err
    assert "session.json: " in err and "expected " in err and err.count("\n") == 1 and "unexpected" not in err


def test_facts_that_are_null_or_missing_are_not_known(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("model", "source", "run", "packages", "settings", "time_zone", "program"))
    assert write_report(made(tmp_path / "s", [row(0, 0.0, REST)], **nothing)).exists()
    half = {"width_px": 640}
    outages = [{"began_s": "x"}, {"began_s": 1, "ended_s": "x"}, {"began_s": 0.0, "ended_s": None}]
    more = {"source": half, "run": {"health": {"outages": outages}}}
    assert "unknown size" in write_report(made(tmp_path / "s", [row(0, 0.0, REST)], **more)).read_text()


@pytest.mark.parametrize(
    "cells",
    [
        ["1", "1e308", "1", "ok", "", "", "", "", "", "", "4"],
        ["1", "0.1", "1", "ok", "", "", "", "", "", "", "1e308"],
        ["1", "0.1", "1", "ok", "neutral", "0.5", "nan", "0", "0", "0", "4"],
        ["1", "0.1", "1", "ok", "neutral", "0.5", "7", "0", "0", "0", "4"],
        ["1", "0.1", "9" * 5000, "ok", "", "", "", "", "", "", "4"],
    ],
)
def test_rows_of_impossible_numbers_are_one_line(tmp_path: Path, cells: list[str]) -> None:
    folder = made(tmp_path / "s", [row(0, 0.0, REST), cells, row(2, 0.2, REST)])
    with pytest.raises(SessionError, match="line 3 is no row of it"):
        write_report(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"apex_s": float("nan")},
        {"onset_s": 10**400},
        {"rejected": []},
        {"label": "\ud800"},
        {"peak_px": 1e300},
        {"probability": 1.01},
        {"probability": "0.5"},
        {"evidence": [1.0]},
        {"evidence": {"peak": None}},
    ],
)
def test_events_of_impossible_values_are_one_line(tmp_path: Path, changes: dict) -> None:
    events = [line(1, 0.5), line(2, 0.6) | changes, line(3, 0.7)]
    with pytest.raises(SessionError, match=r"events.jsonl: line 2 is not what belongs there"):
        write_report(made(tmp_path / "s", [row(0, 0.0, REST)], events))


def test_events_tell_how_likely_they_are_and_why_and_older_ones_do_not(tmp_path: Path) -> None:
    told = line(1, 0.5, probability=0.75, evidence={"peak_px": 1.5, "blink": -2})
    folder = made(tmp_path / "s", [row(0, 0.0, REST)], [told, line(2, 0.6)])
    likely, older = read_events(folder)
    assert (likely["probability"], likely["evidence"]) == (0.75, {"peak_px": 1.5, "blink": -2.0})
    assert "probability" not in older and "evidence" not in older


def test_a_field_without_an_end_is_one_line(tmp_path: Path) -> None:
    folder = made(tmp_path / "s", [row(0, 0.0, REST)])
    folder.frames.write_text(folder.frames.read_text() + '"' + "a" * 140_000 + "\n")
    with pytest.raises(SessionError, match=r"frames.csv cannot be read: field larger"):
        write_report(folder)


@pytest.mark.parametrize("huge", [False, True])
def test_a_damaged_picture_is_left_out_without_a_word(
    tmp_path: Path, huge: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path / "s", [row(0, 0.0, REST)], [line(1, 0.5)])
    folder.pictures.mkdir()
    png = bytearray(cv2.imencode(".png", portrait()[:64, :64])[1].tobytes())
    if huge:  # by its header alone
        png[16:24] = b"\x00\x00\x75\x30" * 2
    else:
        png[200] ^= 0xFF
    folder.picture(1).write_bytes(png)
    assert "data:image" not in write_report(folder).read_text()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("time_s", "words"), [(0, "0 s"), (12.54, "12.5 s"), (120, "2:00"), (3725.4, "1:02:05")])
def test_clock(time_s: float, words: str) -> None:
    assert clock(time_s) == words


@pytest.mark.parametrize("span_s", [0.0, 0.4, 7, 100, 5000, 28800, 700000])
def test_ticks_are_few_and_inside(span_s: float) -> None:
    ticks = Scale(3.0, 3.0 + span_s).ticks()
    assert len(ticks) <= 10 and all(0 <= x <= 1000 for x, _ in ticks)
    assert len({words for _, words in ticks}) == len(ticks)


def test_a_time_line_has_every_event_and_joins_the_rejected(tmp_path: Path) -> None:
    table = [row(i, i / 10, None, "no_face") if 30 <= i < 40 else row(i, i / 10, REST) for i in range(101)]
    rows = read_rows(made(tmp_path / "s", table))
    accepted = [{"number": 1, **line(1, 5.0)}]
    rejected = [line(0, 7.0 + i / 1000, rejected="blink") for i in range(50)]
    found = timeline(rows, accepted, rejected, [{"mark": "start", "time_s": 2.5}], [{"began_s": 8, "ended_s": None}])
    assert [(round(mark.x), round(mark.width)) for mark in found.outages] == [(800, 200)]
    assert [(mark.anchor, mark.style, round(mark.x)) for mark in found.events] == [("event-1", "c2", 490)]
    assert 1 <= len(found.rejected) <= 14 and "blink" in found.rejected[0].words
    assert [(mark.words, round(mark.x)) for mark in found.marks] == [("start, at 2.50 s", 250)]
    # Three classes but neutral, before and after the gap.
    assert [style for style, _ in found.lines] == ["c0", "c0", "c1", "c1", "c2", "c2"]
    assert [(mark.style, mark.words) for mark in found.statuses] == [
        ("ok", "watching, 0 s to 3 s"),
        ("no_face", "no face, 3 s to 4 s"),
        ("ok", "watching, 4 s to 10 s"),
    ]


def test_false_alarms_are_the_models_or_unknown() -> None:
    run_facts = {"run": {"events": {"watched_min": 20.0}}}
    unknown = false_alarms(run_facts, [7])
    assert unknown.rates == () and unknown.per_min == pytest.approx((0.35,))
    scores = {"uf1": 0.9, "spotting": {"made_videos": {"false_per_min": 0.35}, "real clips": {"false_per_min": 0}}}
    known = false_alarms({**run_facts, "model": {"scores": scores}}, [7])
    assert known.rates == (("made videos", 0.35), ("real clips", 0.0))
    assert known.expected(0.35) == pytest.approx(7.0)
    killed = false_alarms({"run": None, "model": {"scores": {"false_events_per_min": 1}}}, [2])
    assert killed.watched_min is None and killed.expected(1.0) is None and killed.per_min == ()


def test_health_shows_what_the_run_says_whatever_it_is(tmp_path: Path) -> None:
    rows = read_rows(made(tmp_path / "s", [row(0, 0.0, REST)]))
    health = {"reconnects": 2, "age_ms": 12.0, "source": "x", "outages": [{"began_s": 1.5, "ended_s": None}]}
    facts = {"run": {"fps": 29.97, "dropped": {"source": 3}, "times": {"x": 1}, "health": health}}
    found = dict(health_rows(facts, rows))
    assert found["fps"] == "29.97" and found["dropped source"] == "3" and found["reconnects"] == "2"
    assert found["age, ms"] == "12" and found["outages"] == "began_s 1.5"
    assert not any(name.startswith(("times", "health", "source")) for name in found)


def test_a_page_of_a_made_up_run(tmp_path: Path) -> None:
    """Names from outside are text, not markup; long lists end; what is not known is said."""
    accepted = [line(i, i / 2, confidence=i / 3000) for i in range(1, 1501)]
    rejected = [line(0, i / 2, rejected="blink" if i % 3 else "speech") for i in range(600)]
    folder = made(
        tmp_path / "s",
        [row(i, i / 2, REST, sight=False) for i in range(1600)],
        accepted + rejected,
        sight=False,
        source={"name": "<script>alert(1)</script>"},
        consent='"><img src=x onerror=alert(1)>',
        model={"disclaimer": "no lie detector", "scores": {}},
        started="2026-01-02T03:04:05+00:00",
    )
    picture = np.full((48, 108, 3), 90, np.uint8)
    folder.pictures.mkdir()
    for number in range(1, 1501, 10):
        cv2.imwrite(str(folder.picture(number)), picture)
    page = Page(write_report(folder))
    assert "script" not in page.tags and "<script>alert(1)</script>" in page.text and "onerror=alert(1)>" in page.text
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= page.anchors
    assert len(page.tables["event-table"].rows) == 1001 and "The first 1000 of 1500" in page.text
    assert len(page.images) <= MOST_PICTURES
    assert page.tables["rejected-table"].rows[1:] == [["blink", "400"], ["speech", "200"], ["all", "600"]]
    assert "is unknown: this model's file says nothing of false events" in page.text
    assert "How long a face was watched is not known" in page.text
    assert folder.report.stat().st_size < 3_000_000


def test_a_run_without_a_row_has_a_page(tmp_path: Path) -> None:
    page = Page(write_report(made(tmp_path / "s", [], state="failed: the camera went away")))
    assert "This run failed: the camera went away." in page.text and "There is no answer in this run." in page.text


def crops(times_s: Sequence[float], size_px: int = 128) -> RecentCrops:
    """A face whose brows move down around 1 s."""
    recent = RecentCrops()
    grey = cv2.resize(cv2.cvtColor(portrait()[60:200, 160:300], cv2.COLOR_BGR2GRAY), (size_px, size_px))
    for time_s in times_s:
        moved = 2.5 * np.exp(-(((time_s - 1.0) / 0.1) ** 2))
        rows, columns = np.mgrid[:size_px, :size_px].astype(np.float32)
        shift = moved * np.exp(-(((rows - 30) / 12) ** 2))
        crop = cv2.remap(grey, columns, rows - shift.astype(np.float32), cv2.INTER_LINEAR)
        face = FaceCrop(crop, np.eye(2, 3), np.zeros((0, 2), np.float32), False)
        recent.add(moment(time_s, seen(at=face)))
    return recent


TIMES_S = (np.arange(60) / 30).tolist()


def test_an_events_moments_are_its_own() -> None:
    recent = crops(TIMES_S)
    found = recent.of(event(1.0, lasts_s=0.4))
    assert found.onset is not None and found.apex is not None and found.offset is not None
    assert not np.array_equal(found.onset, found.apex)
    assert found.times_s[0] == pytest.approx(0.0) and len(found.times_s) == len(found.shares) == 60
    late = recent.of(event(9.0))
    assert (late.onset, late.apex, late.offset) == (None, None, None) and len(late.times_s) == 0
    assert recent.of(event(1.0, track=2)).apex is None


def test_what_is_kept_is_bounded() -> None:
    recent = RecentCrops(span_s=2.0)
    for index in range(2000):
        # A source of 500 frames a second, and a new face every second.
        recent.add(moment(index / 500, seen(track=1 + index // 500)))
    assert len(recent) <= 2.0 * 65 + 5
    recent.add(moment(100.0))
    assert len(recent) == 0


def test_the_picture_shows_the_motion_where_it_is() -> None:
    moments = crops(TIMES_S).of(event(1.0, "surprise", lasts_s=0.5))
    sheet = EventSheet(replace(tiny_contract())).draw(moments)
    assert sheet.dtype == np.uint8 and sheet.shape == (480, 1084, 3)
    arrows = sheet[46 : 46 + 256, 816:1072].astype(int)
    lively = np.abs(arrows - arrows.mean(axis=2, keepdims=True)).max(axis=2) > 40
    # Coloured arrows at the brows (row 30 of 128), hardly any at the mouth.
    assert lively[30:100].sum() > 10 * max(1, lively[180:].sum())
    faceless = EventSheet(tiny_contract(), faceless=True).draw(moments)
    blank = faceless[46:302, 12:268]
    assert (
        len(np.unique(blank.reshape(-1, 3), axis=0))
        < 200
        < len(np.unique(sheet[46:302, 12:268].reshape(-1, 3), axis=0))
    )
    nothing = EventSheet(tiny_contract()).draw(RecentCrops().of(event(1.0, "surprise")))
    assert nothing.shape == sheet.shape


def test_accepted_events_have_pictures_by_their_number(tmp_path: Path) -> None:
    with EventPictures(SessionFolder(tmp_path), tiny_contract()) as pictures:
        for index, time_s in enumerate(TIMES_S):
            happened = (event(1.0, rejected="blink"), event(1.0), event(0.9)) if index == 50 else ()
            pictures.write(replace(moment(time_s, seen()), events=happened))
        pictures.finish((event(1.1, rejected="blink"), event(1.2)))
    assert sorted(path.name for path in (tmp_path / "events").iterdir()) == ["0001.png", "0002.png", "0003.png"]
    assert (pictures.written, pictures.missed) == (3, 0)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the demo's first event, made by the program."""
    folder = material(tmp_path_factory.mktemp("page"))
    shutil.rmtree(folder / "s", ignore_errors=True)
    argv = ("--source", "demo", "--headless", "--pace", "fast", "--max-frames", demo_frames())
    assert run(*argv, "--session", folder / "s", "--consent", "form 12") == 0
    return folder / "s" / "report.html"


def test_the_programs_page_says_what_was_found(page: Path) -> None:
    found = Page(page)
    assert "It does not detect lies" in found.text and "form 12" in found.text and "Session, finished" in found.text
    (event,) = accepted_of(page.parent)
    assert len(found.tables["event-table"].rows) == 2 and len(found.images) == 1
    assert found.tables["event-table"].rows[1][1:4] == [event["label"], event["kind"], f"{event['onset_s']:.2f}"]
    assert all(address.startswith(("#", "data:image/")) for address in found.addresses)
    assert "onnxruntime" in found.text and "latency p50 / p95 / p99" in found.text


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize(
    ("width", "mobile", "scheme"), [(1280, False, "light"), (1280, False, "dark"), (390, True, "light")]
)
def test_a_browser_shows_it(page: Path, tmp_path: Path, width: int, mobile: bool, scheme: str) -> None:
    """No complaint, no request but the page itself, nothing wider than the screen, and something to see."""

    async def look() -> None:
        async with browser_tab() as tab:
            await tab.size(width, 900, mobile)
            await tab.scheme(scheme)
            await tab.open(page.as_uri())
            await tab.until(
                "document.readyState === 'complete' && document.images.length === 1 && document.images[0].complete"
            )
            assert tab.complaints == []
            outside = [address for address in tab.requests if not address.startswith("data:")]
            assert outside == [page.as_uri()]
            assert await tab.run("document.documentElement.scrollWidth") <= width
            assert await tab.run("document.images[0].naturalWidth") == 1084
            assert await tab.run("document.querySelectorAll('svg.timeline polyline').length") >= 3
            assert accepted_of(page.parent)[0]["label"] in await tab.run(
                "document.querySelector('svg a title').textContent"
            )
            await tab.screenshot(tmp_path / "page.png")

    asyncio.run(look())
    shown = cv2.imread(str(tmp_path / "page.png"))
    assert shown is not None and len(np.unique(shown.reshape(-1, 3), axis=0)) > 50
    assert (shown[5, 5].mean() < 60) == (scheme == "dark")


def test_the_report_has_a_column_for_action_units_where_there_are_some(tmp_path: Path) -> None:
    rows = [row(i, i / 30, REST) for i in range(300)]
    told = line(1, 2.0, action_units=["4", "L12"], action_unit_confidences=[0.9, 0.6])
    without = write_report(made(tmp_path / "without", rows, [line(1, 2.0)])).read_text()
    with_them = write_report(made(tmp_path / "with", rows, [told, line(2, 5.0)])).read_text()
    assert "action units</th>" in with_them and ">4, L12</td>" in with_them
    assert "ction units" not in without


@pytest.mark.parametrize("units", [["<b>"], "4", ["4"] * 100])
def test_action_units_that_are_none_are_refused(units: object, tmp_path: Path) -> None:
    folder = made(tmp_path / "s", [row(0, 0.0, REST)], [line(1, 2.0, action_units=units), line(2, 3.0)])
    with pytest.raises(SessionError, match="line 1 is not what belongs there"):
        write_report(folder)

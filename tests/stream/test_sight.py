"""What was watchable in a session, in its rows, in words and in the time line."""

from pathlib import Path

import numpy as np
import pytest

from stream.session.frame_rows import read_rows
from stream.session.report import write_report
from stream.session.time_chart import timeline
from stream.sight import OTHERS, FaceSight, Sight, sight_lines, span_words
from tests.helpers.report_page import Page
from tests.helpers.report_sessions import REST, made, row


@pytest.mark.parametrize(
    ("time_s", "words"),
    [
        (0.02, "0 s"),
        (0.2, "0.2 s"),
        (12.4, "12 s"),
        (432, "7 min 12 s"),
        (540, "9 min"),
        (3780, "1 h 3 min"),
        (7225, "2 h"),
    ],
)
def test_time_in_words(time_s: float, words: str) -> None:
    assert span_words(time_s) == words


def test_the_median_is_that_of_the_watchable_time() -> None:
    rng = np.random.default_rng(3)
    face, values = FaceSight(), rng.uniform(0.2, 2.0, 3001)
    for px in values.tolist():
        face.add(0.04, px)
    assert face.smallest_px == pytest.approx(np.median(values), abs=0.011)
    assert face.watchable_s == pytest.approx(0.04 * 3001)
    face.add(1000.0, 1.5)
    assert face.smallest_px == pytest.approx(1.5)
    assert FaceSight().smallest_px is None


def test_what_is_kept_does_not_grow() -> None:
    sight = Sight()
    for track in range(1, 1000):
        sight.add(track, 0.04, True, True, track / 3)
    sight.add(0, 0.04, False, False, None)
    sight.add(1, 5.0, True, True, 0.5)  # a gap
    assert len(sight.faces) == 65 and sight.watchable_min == sight.read_min == pytest.approx(999 * 0.04 / 60)
    lines = sight_lines(sight, 60.0)
    assert lines[0].startswith("face 1: watchable 0 s of 1 min; smallest visible movement 0.33 px")
    assert (
        len(lines) == 7
        and sight.faces[OTHERS].watchable_s > 30
        and lines[-1] == "all other faces: watchable 40 s of 1 min"
    )


def test_of_many_faces_those_that_were_watchable_longest_have_a_line() -> None:
    """Somebody whom the camera loses again and again is a new face every time."""
    sight = Sight()
    for track in range(1, 31):
        for _ in range(100):
            sight.add(track, 0.1, True, track % 4 == 0, 0.5)
    lines = sight_lines(sight, 600.0)
    assert [line.split(":")[0] for line in lines] == [
        *(f"face {track}" for track in range(4, 28, 4)),
        "all other faces",
    ]
    assert lines[0] == "face 4: watchable 10 s of 10 min; smallest visible movement 0.5 px"
    assert lines[-1] == "all other faces: watchable 10 s of 10 min"  # face 28


def test_rows_tell_what_was_watchable(tmp_path: Path) -> None:
    """Nine seconds: three of them dark, one without anybody, and a second face for two."""
    rows = []
    for i in range(271):
        time_s = i / 30
        if 6 <= time_s < 7:
            rows.append(row(i, time_s, None, "no_face"))
            continue
        dark = 3 <= time_s < 6
        rows.append(row(i, time_s, REST, sight=None if dark else 0.6))
        if time_s > 7:
            rows.append(row(i, time_s, REST, track=2, sight=1.25))
    folder = made(tmp_path / "s", rows, run={"events": {"watched_min": 7.0}})
    found = read_rows(folder)
    assert found.sight is not None and found.sight.watchable_min == pytest.approx((5 + 2) / 60, abs=0.005)
    assert sight_lines(found.sight, found.duration_s) == [
        "face 1: watchable 5 s of 9 s; smallest visible movement 0.6 px",
        "face 2: watchable 2 s of 9 s; smallest visible movement 1.2 px",
    ]
    chart = timeline(found, [], [])
    assert [mark.words for mark in chart.blind] == [
        "not watchable, 3 s to 7 s: nothing found here says nothing",
    ]
    assert len(chart.sight) == 2 and chart.sight_px == pytest.approx(0.6)
    page = Page(write_report(folder))
    assert "Face 1: watchable 5 s of 9 s; smallest visible movement 0.6 px." in page.text
    assert "would have been noticed in 0.1 minutes" in page.text and "7.0 minutes" not in page.text
    assert "nothing found here says nothing" in page.text


def test_sessions_of_earlier_versions_say_nothing_of_it(tmp_path: Path) -> None:
    folder = made(tmp_path / "s", [row(i, i / 30, REST, sight=False) for i in range(30)], sight=False)
    assert read_rows(folder).sight is None
    assert "watchable" not in write_report(folder).read_text().replace("f-blind", "")


def test_a_run_in_which_nobody_was_seen(tmp_path: Path) -> None:
    folder = made(tmp_path / "s", [row(i, i / 30, None, "no_face") for i in range(90)])
    assert "Watchable 0 s of 3 s: there was no face." in Page(write_report(folder)).text

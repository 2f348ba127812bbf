"""What becomes of events: JSON lines that survive a killed run, and counts."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from model.types import Event, FaceResult
from stream.history import EventCounts
from stream.sight import SmallestMovements
from stream.sinks.base import SinkError
from stream.sinks.tables import CsvSink, EventsSink, event_message
from tests.helpers.results import CLASSES, event, face, prediction, result

FULL = Path("/dev/full")


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_object_a_line(tmp_path):
    with EventsSink(tmp_path / "events.jsonl") as sink:
        sink.write(result(0))
        sink.write(result(1, events=(event(), event("blink", at_s=2.0, track=3))))
        sink.finish((event(kind="macro", label="naïve"),))
    assert sink.events == 3
    found = lines(sink.path)
    assert found[0] == {
        "kind": "micro", "label": "surprise", "onset_s": 1.0, "apex_s": 1.15, "offset_s": 1.34,
        "confidence": 0.8123, "peak_px": 1.235, "track": 1,
    }  # fmt: skip
    assert (found[1]["rejected"], found[1]["track"], found[1]["onset_s"]) == ("blink", 3, 2.0)
    assert (found[2]["kind"], found[2]["label"]) == ("macro", "naïve") and "rejected" not in found[2]


def test_files_tell_how_likely_an_event_is_and_why_messages_only_how_likely(tmp_path: Path) -> None:
    told = replace(event(), probability=0.83456, evidence={"peak_px": 1.5, "blink": -2.0})
    with EventsSink(tmp_path / "events.jsonl") as sink:
        sink.write(result(0, events=(told, event(kind="macro"))))
    likely, macro = lines(sink.path)
    assert (likely["probability"], likely["evidence"]) == (0.8346, {"peak_px": 1.5, "blink": -2.0})
    assert not {"probability", "evidence"} & set(macro)
    assert event_message(told) == {name: value for name, value in likely.items() if name != "evidence"}


def test_events_can_be_read_while_the_run_goes_on(tmp_path):
    with EventsSink(tmp_path / "events.jsonl") as sink:
        assert lines(sink.path) == []
        sink.write(result(0, events=(event(),)))
        assert len(lines(sink.path)) == 1


def test_a_killed_run_keeps_its_events(tmp_path):
    path = tmp_path / "events.jsonl"
    program = (
        "import sys\n"
        "from stream.sinks.tables import EventsSink\n"
        "from tests.helpers.results import event, result\n"
        "sink = EventsSink(sys.argv[1])\n"
        "for index in range(5):\n"
        "    sink.write(result(index, events=(event(at_s=float(index)),)))\n"
        "print('written', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "written\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert [line["onset_s"] for line in lines(path)] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_missing_folder_is_told_at_once(tmp_path):
    with pytest.raises(SinkError, match=r"^cannot write the events file .*: the folder .*nowhere does not exist"):
        EventsSink(tmp_path / "nowhere" / "events.jsonl")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_is_an_error():
    with (
        pytest.raises(SinkError, match=r"^cannot write the events file /dev/full: No space left on device$"),
        EventsSink(FULL) as sink,
    ):
        sink.write(result(0, events=(event(),)))


def test_the_csv_has_a_row_for_every_frame_and_face(tmp_path):
    both = (
        FaceResult(4, "ok", 30, prediction(0.1, 0.2, 0.3, 0.4), face()),
        FaceResult(2, "face_turned", 0, None, face(300)),
    )
    last = replace(result(2, 0.2), faces=both)
    with CsvSink(tmp_path / "log.csv", CLASSES) as sink:
        sink.write(result(0, 0.0))
        sink.write(replace(result(1, 0.1), faces=both[:1]))
        sink.write(last)
        sink.finish((event(),))
    assert sink.rows == 4
    rows = [line.split(",")[:5] for line in sink.path.read_text().splitlines()[1:]]
    assert rows == [
        ["0", "0.000000", "0", "no_face", ""],
        ["1", "0.100000", "4", "ok", "surprise"],
        ["2", "0.200000", "4", "ok", "surprise"],
        ["2", "0.200000", "2", "face_turned", ""],
    ]


def test_counts_and_the_time_that_was_watched():
    counts = EventCounts()
    answer = prediction(0.1, 0.2, 0.3, 0.4)
    seen = FaceResult(1, "ok", 30, answer, face(), calibrated=True, smallest_px=0.7, watchable=True)
    events: list[tuple[Event, ...]] = [(), (event(), event("blink")), (event("blink"),), (event(kind="macro"),)]
    for index, decided in enumerate(events):
        counts.add(replace(result(index, index * 0.5, events=decided), faces=(seen,)))
    # Neither a gap, nor a face that is not watchable is time that was watched, whatever it would take to be noticed there.
    counts.add(replace(result(4, 60.0), faces=(seen,)))
    unseen = (replace(seen, smallest_px=None, watchable=False), replace(seen, smallest_px=2.0, watchable=False))
    counts.add(replace(result(5, 60.5), faces=unseen))
    counts.add(replace(result(6, 61.0, events=(event(),)), faces=(seen, replace(seen, track=2))))
    counts.add(result(7, 61.5))
    counts.finish((event(label="negative"),))
    assert counts.as_dict() == {
        "found": {"micro": {"negative": 1, "surprise": 2}, "macro": {"surprise": 1}},
        "rejected": {"blink": 2},
        "watched_min": pytest.approx((3 * 0.5 + 2 * 0.5) / 60),
        "whole_min": pytest.approx((3 * 0.5 + 2 * 2 * 0.5 + 0.5) / 60),
        "smallest_px": pytest.approx(0.7),
    }


def test_the_median_goes_by_how_long_and_takes_no_more_room():
    smallest = SmallestMovements()
    assert smallest.median_px() is None
    for _ in range(1000):
        smallest.add(0.3, 0.01)
        smallest.add(5.0, 0.04)
    for px in (0.0, 1e9):
        smallest.add(px, 0.01)
    assert smallest.median_px() == pytest.approx(5.0, abs=0.011)

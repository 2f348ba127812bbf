"""CSV rows and snapshots; and what every file output does where it cannot write."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from model.contract import ActionUnits
from model.types import Prediction
from stream.history import LiveHistory
from stream.screen.overlay import Overlay
from stream.screen.window import save_snapshot
from stream.session.frame_rows import Columns, read_rows
from stream.session.session_folder import SessionFolder
from stream.sinks.base import SinkError
from stream.sinks.tables import CsvSink, csv_header
from stream.sinks.video import RecordSink
from tests.helpers.results import CLASSES, HEALTH, face, prediction, result, results

FIXTURE_IS_PER_TEST = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FULL = Path("/dev/full")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@FIXTURE_IS_PER_TEST
@given(run=results())
def test_rows_hold_what_the_results_say(run, tmp_path):
    path = tmp_path / "log.csv"
    path.unlink(missing_ok=True)  # of the example before: a run without a frame leaves it as it is
    with CsvSink(path, CLASSES) as sink:
        for one in run:
            sink.write(one)
    assert sink.rows == len(run)
    found = rows(path)
    assert len(found) == len(run)
    for row, one in zip(found, run, strict=True):
        assert int(row["frame"]) == one.frame.index
        assert float(row["time_s"]) == pytest.approx(one.frame.time_s, abs=5.1e-7)
        assert row["face"] == ("1" if one.faces else "0")
        assert row["status"] == one.status
        assert float(row["latency_ms"]) == pytest.approx(one.latency_ms, abs=5.1e-4)
        smallest_px = one.faces[0].smallest_px if one.faces else None
        assert row["watchable"] == str(int(smallest_px is not None))
        assert (float(row["smallest_px"]) if row["smallest_px"] else None) == pytest.approx(smallest_px, abs=5.1e-4)
        if one.prediction is None:
            assert {row["label"], row["confidence"], *(row[f"p_{name}"] for name in CLASSES)} == {""}
        else:
            assert row["label"] == one.prediction.label
            assert float(row["confidence"]) == pytest.approx(one.prediction.confidence, abs=5.1e-7)
            for name in CLASSES:
                assert float(row[f"p_{name}"]) == pytest.approx(one.prediction.probabilities[name], abs=5.1e-7)


def test_the_file_looks_as_promised(tmp_path):
    path = tmp_path / "log.csv"
    with CsvSink(path, ("calm, still", "surprise")) as sink:
        sink.write(result(0, 0.0, "filling", at=face(), latency_ms=3))
        answer = prediction(0.75, 0.25, names=("calm, still", "surprise"))
        sink.write(result(1, 1 / 30, "ok", answer=answer, at=face(), latency_ms=12.3456, smallest_px=0.6))
        sink.write(result(2, 2 / 30))
    assert path.read_text() == (
        'frame,time_s,face,status,label,confidence,"p_calm, still",p_surprise,smallest_px,watchable,latency_ms\n'
        "0,0.000000,1,filling,,,,,,0,3.000\n"
        '1,0.033333,1,ok,"calm, still",0.750000,0.750000,0.250000,0.600,1,12.346\n'
        "2,0.066667,0,no_face,,,,,,0,12.300\n"
    )


def test_a_sessions_reader_gets_what_was_watchable_and_takes_older_tables(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with CsvSink(path, CLASSES, ("L4", "R4")) as sink:
        answer = Prediction(prediction(0.1, 0.2, 0.3, 0.4).probabilities, {"L4": 0.5, "R4": 0.25})
        sink.write(result(0, 0.5, "ok", answer=answer, smallest_px=0.6125))
        sink.write(result(1, 0.6, "filling"))
    header, *lines = csv.reader(path.read_text().splitlines())
    first, second = map(Columns(header).row, lines)
    assert (first.smallest_px, first.watchable) == (pytest.approx(0.6125, abs=6e-4), True)
    assert (second.smallest_px, second.watchable, second.probabilities) == (None, False, None)
    assert first.probabilities == (0.1, 0.2, 0.3, 0.4) and (first.face, first.time_s, first.latency_ms) == (
        1,
        0.5,
        12.3,
    )
    older = [[name for place, name in enumerate(cells) if place not in (12, 13)] for cells in (header, *lines)]
    assert older[0] == list(csv_header(CLASSES, ("L4", "R4"), watching=False))
    first, second = map(Columns(older[0]).row, older[1:])
    assert {first.smallest_px, first.watchable, second.smallest_px, second.watchable} == {None}
    for place, wrong in ((13, "2"), (13, ""), (12, "-0.5"), (12, "nan"), (12, "1e13"), (12, "x")):
        with pytest.raises(ValueError):
            Columns(header).row([*lines[0][:place], wrong, *lines[0][place + 1 :]])


def test_a_killed_run_keeps_its_rows(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import sys, time\n"
        "from stream.sinks.tables import CsvSink\n"
        "from tests.helpers.results import CLASSES, result\n"
        "sink = CsvSink(sys.argv[1], CLASSES)\n"
        "for index in range(7):\n"
        "    sink.write(result(index, index / 30))\n"
        "print('written', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "written\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert [row["frame"] for row in rows(path)] == [str(index) for index in range(7)]


def test_rows_can_be_read_while_the_run_goes_on(tmp_path):
    with CsvSink(tmp_path / "log.csv", CLASSES) as sink:
        sink.write(result(0, 0.5))
        assert [row["time_s"] for row in rows(sink.path)] == ["0.500000"]


def test_closes_after_an_error_and_lets_the_error_through(tmp_path):
    with pytest.raises(RuntimeError, match="from elsewhere"), CsvSink(tmp_path / "log.csv", CLASSES) as sink:
        sink.write(result())
        raise RuntimeError("from elsewhere")
    assert len(rows(sink.path)) == 1
    with pytest.raises(ValueError, match="closed"):
        sink.write(result())


def new_csv(path: Path) -> CsvSink:
    return CsvSink(path, CLASSES)


def new_video(path: Path) -> RecordSink:
    return RecordSink(path, Overlay(CLASSES, ""), LiveHistory(CLASSES), lambda: HEALTH)


@pytest.mark.parametrize("new, name", [(new_csv, "log.csv"), (new_video, "video.mp4")])
def test_a_missing_folder_is_told_at_once(new, name, tmp_path):
    with pytest.raises(SinkError, match=r"cannot write the .*: the folder .*nowhere does not exist; create it first$"):
        new(tmp_path / "nowhere" / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("new, name", [(new_csv, "log.csv"), (new_video, "video.mp4")])
def test_a_folder_is_no_file(new, name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(SinkError, match="it is a folder; give a file name"):
        new(tmp_path / name)


@pytest.mark.parametrize("new, name", [(new_csv, "log.csv"), (new_video, "video.mp4")])
def test_a_folder_without_permission_is_told_at_once(new, name, tmp_path):
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(SinkError, match="Permission denied"):
        new(tmp_path / name)


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_at_once():
    with pytest.raises(SinkError, match=r"^cannot write the CSV file /dev/full: No space left on device$"):
        new_csv(FULL)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit on the size of files")
def test_a_disk_that_fills_up_is_an_error_and_keeps_the_rows(tmp_path):
    path = tmp_path / "log.csv"
    program = (
        "import resource, signal, sys\n"
        "from stream.sinks.base import SinkError\n"
        "from stream.sinks.tables import CsvSink\n"
        "from tests.helpers.results import CLASSES, result\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with CsvSink(sys.argv[1], CLASSES) as sink:\n"
        "        for index in range(100):\n"
        "            sink.write(result(index, index / 30))\n"
        "except SinkError as error:\n"
        "    print(sink.rows, error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    ).stdout.split(maxsplit=1)
    assert said[1] == f"cannot write the CSV file {path}: File too large\n"
    assert 10 < int(said[0]) < 100
    assert [row["frame"] for row in rows(path)][: int(said[0])] == [str(index) for index in range(int(said[0]))]


def test_snapshots_are_the_picture_and_never_overwrite(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    paths = [save_snapshot(image, tmp_path / "new" / "folder") for _ in range(3)]
    assert len(set(paths)) == 3
    for path in paths:
        assert np.array_equal(cv2.imread(str(path)), image)


def test_a_snapshot_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot write a snapshot into"):
        save_snapshot(np.zeros((4, 4, 3), np.uint8), tmp_path / "file")


def test_action_units_have_columns_where_they_are_wanted(tmp_path: Path) -> None:
    units = ActionUnits((4, 12)).names
    shares = dict(zip(units, (0.9, 0.8, 0.25, 0.0), strict=True))
    told = Prediction(prediction(0.1, 0.2, 0.3, 0.4).probabilities, shares)
    with CsvSink(tmp_path / "rows.csv", CLASSES, units) as sink:
        for one in (result(0, 0.0, "ok", answer=told), result(1, 0.1, "filling"), result(2, 0.2)):
            sink.write(one)
    with CsvSink(tmp_path / "plain.csv", CLASSES) as sink:
        sink.write(result(0, 0.0, "ok", answer=told))
    lines = [line.split(",") for line in (tmp_path / "rows.csv").read_text().splitlines()]
    assert lines[0][-7:-3] == ["au_4_l", "au_4_r", "au_12_l", "au_12_r"]
    assert lines[0][-3:] == ["smallest_px", "watchable", "latency_ms"]
    assert lines[1][-7:-3] == ["0.900000", "0.800000", "0.250000", "0.000000"]
    assert lines[2][-7:-3] == lines[3][-7:-3] == [""] * 4
    assert (tmp_path / "plain.csv").read_text().splitlines()[0] == ",".join(csv_header(CLASSES))
    folder = SessionFolder(tmp_path)
    shutil.copy(tmp_path / "rows.csv", folder.frames)
    assert read_rows(folder).labels == {"surprise": 1} and read_rows(folder).class_names == CLASSES
    with pytest.raises(ValueError, match="action unit L4: expected 0 to 1"):
        Prediction({"a": 1.0}, {"L4": float("nan")})

"""A session's folder, as the program leaves it: whole, failed, killed."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import run_live
from model.types import Frame, FrameResult
from stream.cli.options import parse_options
from stream.cli.outputs import run_facts
from stream.session.anonymise import Anonymiser, landmark_picture
from stream.session.facts import contract_hash
from stream.session.replay import ReplaySource
from stream.session.session_folder import SessionFolder
from stream.session.source_recorder import SourceRecorder
from stream.sinks.base import SinkError
from tests.helpers.faces import portrait
from tests.helpers.models import CLASSES, tiny_contract
from tests.helpers.paths import ROOT
from tests.helpers.processes import until
from tests.helpers.results import picture
from tests.helpers.sessions import cells_of, facts_of, material, record, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return material(tmp_path_factory.mktemp("session"))


def test_everything_of_a_run_is_in_the_folder(folder: Path, tmp_path: Path) -> None:
    session, csv_path, events_path = tmp_path / "deep" / "s", tmp_path / "out.csv", tmp_path / "out.jsonl"
    assert record(folder, session, "--csv", csv_path, "--events", events_path, "--consent", "form 12, signed") == 0
    assert {path.name for path in session.iterdir()} == {
        "frames.csv",
        "events.jsonl",
        "session.json",
        "events",
        "report.html",
    }
    assert (session / "frames.csv").read_text() == csv_path.read_text()
    assert (session / "events.jsonl").read_text() == events_path.read_text()
    assert len(cells_of(csv_path)) == 86
    facts = facts_of(session)
    assert (facts["schema_version"], facts["state"], facts["consent"]) == (1, "finished", "form 12, signed")
    assert facts["started"] < facts["ended"] and facts["started"][-6] in "+-"
    assert facts["model"]["sha256"] == hashlib.sha256((folder / "tiny.onnx").read_bytes()).hexdigest()
    assert facts["model"]["contract_sha256"] == contract_hash(tiny_contract())
    assert facts["model"]["class_names"] == list(CLASSES)
    assert facts["model"]["training_data"] == "nothing, a model for tests" and "lies" in facts["model"]["disclaimer"]
    assert facts["source"] == {
        "name": "clip.mp4",
        "width_px": 512,
        "height_px": 512,
        "fps": 30.0,
        "live": False,
        "frames": 85,
    }
    assert (facts["provider"], facts["engine"], facts["recording"]) == ("CPU", "window", None)
    assert facts["settings"]["max_faces"] == 1 and facts["settings"]["session"]["consent"] == "form 12, signed"
    assert "numpy" in facts["packages"] and facts["program"]["version"] != "unknown"
    assert facts["run"]["frames"] == 85 and facts["run"]["memory"]["peak_mb"] > 0
    assert facts["event_pictures"] == {"written": 0, "missed": 0}


def test_without_a_note_it_says_so(folder: Path, tmp_path: Path) -> None:
    assert record(folder, tmp_path / "s", "--max-frames", 3, "--no-events") == 0
    assert facts_of(tmp_path / "s")["consent"] == "no consent note given"
    assert not (tmp_path / "s" / "events").exists()
    assert "events were not looked for" in (tmp_path / "s" / "report.html").read_text()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--consent", "yes"], "--consent needs --session DIR"),
        (["--record-source"], "--record-source needs --session DIR"),
        (["--anonymise"], "--anonymise needs --session DIR"),
        (["--check"], "--check needs --replay DIR"),
        (["--session", "FULL"], "is not empty: give a new or an empty folder"),
        (["--session", "FILE"], "is a file: give a new folder"),
        (["--replay", "x", "--camera", "0"], "not allowed with argument"),
        (["--report", "x", "--session", "y"], "does not go with --session"),
    ],
)
def test_bad_usage(argv: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "other").touch()
    (tmp_path / "FILE").touch()
    with pytest.raises(SystemExit) as caught:
        parse_options([str(tmp_path / word) if word in ("FULL", "FILE") else word for word in argv])
    assert caught.value.code == 2 and says in capsys.readouterr().err


def test_an_empty_folder_is_taken(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    assert record(folder, tmp_path / "s", "--max-frames", 2) == 0


def test_a_run_that_never_began_leaves_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("--source", tmp_path / "none.mp4", "--model", folder / "tiny.onnx", "--headless")
    assert run(*argv, "--session", tmp_path / "s", "--record-source") == 1
    assert "does not exist" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_run_that_fails_says_why(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that is full after some frames."""

    def keep(self: SourceRecorder, result: FrameResult) -> None:
        if result.frame.index == 20:
            raise SinkError("the disk is full")

    monkeypatch.setattr(SourceRecorder, "_keep", keep)
    assert record(folder, tmp_path / "s", "--record-source") == 1
    assert "the disk is full" in capsys.readouterr().err
    assert facts_of(tmp_path / "s")["state"] == "failed: the disk is full"
    assert 20 <= len(cells_of(tmp_path / "s" / "frames.csv")) < 86
    assert "failed: the disk is full" in (tmp_path / "s" / "report.html").read_text()


@pytest.mark.parametrize("given", ["rtsp://anna:secret@camera.example/stream", "http://anna:secret@camera.example/x"])
def test_credentials_and_tokens_are_nowhere(given: str) -> None:
    argv = ["--source", given, "--serve", "8080", "--serve-token", "a-token-that-is-secret"]
    told = json.dumps(run_facts(parse_options(argv)).settings)
    assert "secret" not in told and "camera.example" in told


def test_a_killed_run_is_readable(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGKILL in the middle: rows, recording and facts are there, up to the last moment."""
    session = tmp_path / "s"
    argv = ["--source", "demo", "--model", str(folder / "tiny.onnx"), "--headless", "--pace", "realtime"]
    command = [sys.executable, str(ROOT / "run_live.py"), *argv, "--session", str(session), "--record-source"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        rows = session / "frames.csv"
        until(lambda: rows.exists() and rows.read_text().count("\n") > 60, process)
        assert SessionFolder(session).read_facts()["state"] == "running"
        os.kill(process.pid, signal.SIGKILL)
    assert SessionFolder(session).read_facts()["state"] == "killed"
    facts = facts_of(session)
    assert facts["state"] == "running" and facts["ended"] is None and facts["source"]["name"] == "demo"
    with rows.open(newline="") as file:
        table = list(csv.reader(file))
    assert len(table) > 60 and all(len(row) == len(table[0]) for row in table[:-1])
    video = cv2.VideoCapture(str(session / "source" / "0001.mkv"), cv2.CAP_FFMPEG)
    kept = 0
    while video.read()[0]:
        kept += 1
    # Rows come before their pictures, which wait to be encoded: half a second of them, and what the file had not taken.
    assert kept >= len(table) - 1 - 30
    assert not list(session.glob(".*.part.*")) and not (session / "report.html").exists()
    assert run("--report", session) == 0
    assert "did not come to its end: it was killed" in (session / "report.html").read_text()
    # And it replays: every picture that is whole gives its row again.
    argv = ("--replay", session, "--model", folder / "tiny.onnx", "--check", "--headless", "--pace", "fast")
    assert run(*argv, "--csv", tmp_path / "again.csv") == 0
    assert "it was killed" in capsys.readouterr().out
    again = cells_of(tmp_path / "again.csv")
    assert again == cells_of(rows)[: len(again)] and len(again) >= len(table) - 30


def recorded(folder: SessionFolder, images: list[np.ndarray], **given: object) -> SourceRecorder:
    folder.path.mkdir(exist_ok=True)
    with SourceRecorder(folder, 30.0, **given) as recorder:  # type: ignore[arg-type]
        for index, image in enumerate(images):
            frame = Frame(3 * index, 0.1 * index + 1 / 3, image, 0.0, restart=index == 2)
            recorder.write(FrameResult(frame, (), "no_face", (), 1.0, {}))
    return recorder


def test_the_recording_is_bit_for_bit_and_follows_the_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    sizes = [(64, 48), (64, 48), (321, 239), (321, 239), (321, 239), (64, 48)]
    images = [rng.integers(0, 256, (height, width, 3), np.uint8) for width, height in sizes]
    folder = SessionFolder(tmp_path / "s")
    recorder = recorded(folder, images)
    assert (recorder.frames, recorder.dropped) == (6, 0)
    rows = [line.split(",") for line in folder.times.read_text().splitlines()]
    assert rows[0] == ["frame", "time_s", "restart", "part", "width", "height"]
    assert [(int(f), float(t), r, p) for f, t, r, p, *_ in rows[1:]] == [
        (3 * i, 0.1 * i + 1 / 3, str(int(i == 2)), part) for i, part in enumerate("112223")
    ]
    folder.facts.write_text(json.dumps({"schema_version": 1, "recording": "source", "source": {"fps": 25.0}}))
    with ReplaySource(folder) as source:
        assert (source.info.width_px, source.info.height_px, source.info.fps, source.info.frames) == (64, 48, 25.0, 6)
        found = list(source)
    assert [(frame.index, frame.time_s, frame.restart) for frame in found] == [
        (3 * i, 0.1 * i + 1 / 3, i == 2) for i in range(6)
    ]
    assert all(np.array_equal(a.image, b) for a, b in zip(found, images, strict=True))


def test_a_full_disk_ends_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.session.source_recorder.MIN_FREE_BYTES", 1 << 62)
    with pytest.raises(SinkError, match="the disk is full"):
        recorded(SessionFolder(tmp_path / "s"), [picture(64, 48)] * 40)


def test_nothing_of_a_picture_survives_anonymising() -> None:
    image = portrait()
    with Anonymiser(max_faces=1) as anonymiser:
        drawn = anonymiser.picture(image)
        again = anonymiser.picture(image)
        other = anonymiser.picture(np.full_like(image, 127))
    assert drawn.shape == image.shape and np.array_equal(drawn, again)
    # Thin grey lines on black, where a face was; black where none was.
    assert 0.002 < (drawn > 0).mean() < 0.05 and not other.any()
    assert np.array_equal(landmark_picture((48, 64, 3), []), np.zeros((48, 64, 3), np.uint8))


def test_an_anonymised_session_keeps_no_picture(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session, overlay = tmp_path / "s", tmp_path / "o.mp4"
    argv = ("--record-source", "--anonymise", "--max-frames", 20, "--record", overlay)
    assert record(folder, session, *argv) == 0
    assert facts_of(session)["recording"] == "landmarks" and facts_of(session)["anonymised"]
    for path in (session / "source" / "0001.mkv", overlay):
        video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        found, frame = video.read()
        assert found
        # The edge would show the background, were the picture there.
        assert frame[130:160, :60].max() < 40 and frame[70:180, 175:275].max() > 80
    capsys.readouterr()
    assert run("--replay", session, "--headless") == 1
    assert "is anonymised: it holds no pictures to replay" in capsys.readouterr().err


def test_the_program_writes_session_files_only_on_demand(folder: Path, tmp_path: Path) -> None:
    argv = [
        "--source",
        str(folder / "clip.mp4"),
        "--model",
        str(folder / "tiny.onnx"),
        "--headless",
        "--max-frames",
        "2",
    ]
    before = set(tmp_path.iterdir())
    assert run_live.main([*argv, "--csv", str(tmp_path / "o.csv")]) == 0
    assert set(tmp_path.iterdir()) - before == {tmp_path / "o.csv"}

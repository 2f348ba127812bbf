"""A recorded session gives the same rows and events again."""

import csv
import json
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from model.contract import ActionUnits, NetworkInput
from model.types import Frame, FrameResult
from stream.cli import app
from stream.recognizer import Recognizer
from stream.session.frame_rows import read_rows
from stream.session.replay import ReplayCheck, ReplaySource
from stream.session.session_folder import SCHEMA_VERSION, SessionError, SessionFolder
from stream.session.source_recorder import HEADER, SourceRecorder
from stream.sinks.tables import CsvSink, EventsSink
from tests.helpers.clips import Frames, face_frames
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.models import save_tiny_model, tiny_contract
from tests.helpers.results import CLASSES, event, prediction, result
from tests.helpers.sessions import accepted_of, cells_of, demo_frames, facts_of, material, record, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, a clip, and a session of it with its recording."""
    folder = material(tmp_path_factory.mktemp("replay"))
    assert record(folder, folder / "session", "--record-source") == 0
    return folder


TIMES = f"{HEADER}\n".encode()


def edit_facts(session: Path, **changes: object) -> None:
    (session / "session.json").write_text(json.dumps(facts_of(session) | changes))


def replay(session: Path, *more: object, model: Path | None = None) -> int:
    """`model`: the one that the user names, for a session names none to load."""
    named = () if model is None else ("--model", model)
    return run("--replay", session, "--headless", "--pace", "fast", *named, *more)


def test_the_demo_with_its_events_comes_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real events of the bundled model, into a session of the replay's own."""
    first, second = tmp_path / "first", tmp_path / "second"
    frames = demo_frames()
    argv = ("--source", "demo", "--headless", "--pace", "fast", "--max-frames", frames)
    assert run(*argv, "--session", first, "--record-source") == 0
    events = (first / "events.jsonl").read_text().splitlines()
    assert accepted_of(first)
    assert (first / "events" / "0001.png").exists()
    capsys.readouterr()
    assert replay(first, "--session", second, "--check") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"The replay is the same as the recording: {frames} rows, {len(events)} events." in said
    assert "model" not in said.partition("to judge people.")[2].partition("Summary")[0]
    assert cells_of(second / "frames.csv") == cells_of(first / "frames.csv")
    assert (second / "events.jsonl").read_text() == (first / "events.jsonl").read_text()
    assert facts_of(second)["source"]["name"] == "replay of first"
    assert facts_of(second)["settings"]["session"]["replay"] == str(first)


def test_settings_come_from_the_session(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert replay(folder / "session", "--csv", out, model=folder / "tiny.onnx") == 0
    assert cells_of(out) == cells_of(folder / "session" / "frames.csv")
    header, *rows = csv.reader(out.open(newline=""))
    assert any(row[header.index("status")] == "ok" for row in rows)


@pytest.mark.parametrize(("kept", "named", "wanted"), [(3, (), 3.0), (3, ("--sensitivity", 7), 7.0), (None, (), 0.5)])
def test_a_replay_is_as_sensitive_as_its_session(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: float | None,
    named: tuple[object, ...],
    wanted: float,
) -> None:
    """Unless the command line says otherwise; sessions of earlier versions do not tell it."""
    session, asked = tmp_path / "s", []
    given = () if kept is None else ("--sensitivity", kept)
    assert record(folder, session, "--record-source", "--max-frames", 2, *given) == 0
    assert facts_of(session)["settings"]["sensitivity"] == (kept or 0.5)
    if kept is None:
        edit_facts(session, settings={n: v for n, v in facts_of(session)["settings"].items() if n != "sensitivity"})
    monkeypatch.setattr(app, "Recognizer", lambda *args, **more: asked.append(more) or Recognizer(*args, **more))
    assert replay(session, *named, model=folder / "tiny.onnx") == 0
    assert [more["sensitivity"] for more in asked] == [wanted]


def test_another_model_is_named_and_differs(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.onnx"
    save_tiny_model(other, tiny_contract(input=NetworkInput("flow", 48)))
    capsys.readouterr()
    assert replay(folder / "session", "--model", other, "--check") == 1
    out, err = capsys.readouterr()
    assert "The model is another one than the session's" in " ".join(out.split())
    assert err.startswith("error: the replay is not the same as the recording: row 30: ") and "more)" in err


@pytest.mark.parametrize("named", ["other.onnx", "a" * 70_000, "\x1b]0;evil\x07", 5, None])
def test_which_model_to_load_is_not_the_sessions_to_say(
    folder: Path, tmp_path: Path, named: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even one that is there, and holds what the session says."""
    session = shutil.copytree(folder / "session", tmp_path / "s")
    if named == "other.onnx":
        named = str(shutil.copy(folder / "tiny.onnx", session / "other.onnx"))
    edit_facts(session, settings=facts_of(session)["settings"] | {"model": named})
    capsys.readouterr()
    assert replay(session, "--csv", tmp_path / "out.csv") == 1
    said = capsys.readouterr().err
    assert "made with another model than the bundled one" in said and "give it with --model" in said
    assert facts_of(session)["model"]["sha256"] in said and len(said) < 600 and "\x1b" not in said
    assert not (tmp_path / "out.csv").exists()


def test_a_row_that_was_changed_is_found(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = shutil.copytree(folder / "session", tmp_path / "s")
    lines = (session / "frames.csv").read_text().splitlines(keepends=True)
    cells = lines[40].split(",")
    lines[40] = ",".join([*cells[:-1], "999.000\n"])
    (session / "frames.csv").write_text("".join(lines))
    assert replay(session, "--check", model=folder / "tiny.onnx") == 0
    lines[40] = ",".join([*cells[:6], "0.500001", *cells[7:]])
    (session / "frames.csv").write_text("".join(lines))
    assert replay(session, "--check", model=folder / "tiny.onnx") == 1
    assert "row 40: 39," in capsys.readouterr().err


def test_a_table_from_before_it_told_what_was_watchable_is_the_same(folder: Path, tmp_path: Path) -> None:
    session = shutil.copytree(folder / "session", tmp_path / "s")
    header, *rows = csv.reader((session / "frames.csv").read_text().splitlines())
    assert header[-3:] == ["smallest_px", "watchable", "latency_ms"]
    older = "".join(",".join([*cells[:-3], cells[-1]]) + "\n" for cells in (header, *rows))
    (session / "frames.csv").write_text(older)
    assert replay(session, "--check", model=folder / "tiny.onnx") == 0


@pytest.mark.parametrize(("left", "says"), [("frames.csv", "rows more were recorded"), ("times.csv", "")])
def test_a_recording_that_is_shorter_or_longer_than_its_rows(
    folder: Path, tmp_path: Path, left: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session = shutil.copytree(folder / "session", tmp_path / "s")
    path = session / "source" / "times.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:60]))
    if left == "times.csv":
        # Of a run that was killed, later rows than its last picture are no difference.
        facts = facts_of(session) | {"state": "running"}
        (session / "session.json").write_text(json.dumps(facts))
    assert replay(session, "--check", model=folder / "tiny.onnx") == (1 if says else 0)
    assert says in capsys.readouterr().err


def irregular() -> Frames:
    """A live source with gaps, jitter, lost frames and a restart that somebody asked for."""
    rng = np.random.default_rng(5)
    times_s = np.cumsum(rng.uniform(0.02, 0.05, 90)) + np.where(np.arange(90) > 50, 2.0, 0.0)
    images = zip(times_s.tolist(), face_frames(90), strict=True)
    return Frames(Frame(3 * i, time_s, image, 0.0, restart=i == 35) for i, (time_s, image) in enumerate(images))


def test_a_live_source_replays_with_its_own_times(folder: Path, tmp_path: Path) -> None:
    recognizer = Recognizer(folder / "tiny.onnx")
    names = recognizer.contract.class_names
    session = SessionFolder(tmp_path)
    with (
        CsvSink(session.frames, names) as rows,
        EventsSink(session.events) as events,
        SourceRecorder(session, None) as recorder,
    ):
        pipeline = recognizer.pipeline(irregular())
        for one in pipeline.results():
            for sink in (rows, events, recorder):
                sink.write(one)
        events.finish(pipeline.finish())
    statuses = [line.split(",")[3] for line in session.frames.read_text().splitlines()[1:]]
    assert len(statuses) == 90 and statuses[34] == "ok" and statuses[35] == "filling" and statuses[51] == "filling"
    session.facts.write_text(json.dumps({"schema_version": SCHEMA_VERSION, "recording": "source"}))
    with ReplaySource(session) as source, ReplayCheck(session, names, complete=True) as check:
        pipeline = recognizer.pipeline(source)
        for one in pipeline.results():
            check.write(one)
        check.finish(pipeline.finish())
    assert check.verdict() == f"The replay is the same as the recording: 90 rows, {check.events} events."


def results(times: int = 3) -> list[FrameResult]:
    return [result(i, i / 30, "ok", answer=prediction(0.1, 0.2, 0.3, 0.4)) for i in range(times)]


def kept(folder: SessionFolder, of: list[FrameResult]) -> None:
    with CsvSink(folder.frames, CLASSES) as rows, EventsSink(folder.events) as events:
        for one in of:
            rows.write(one)
            events.write(one)


@pytest.mark.parametrize("complete", [True, False])
def test_what_only_the_end_decides_counts_when_the_run_came_to_its_end(tmp_path: Path, complete: bool) -> None:
    folder = SessionFolder(tmp_path)
    kept(folder, results())
    with ReplayCheck(folder, CLASSES, complete) as check:
        for one in results():
            check.write(one)
        check.finish((event(),))
    assert check.differences == (1 if complete else 0)
    if complete:
        with pytest.raises(SessionError, match=r"event 1: .*recorded: none"):
            check.verdict()


def test_nothing_compared_is_no_success(tmp_path: Path) -> None:
    folder = SessionFolder(tmp_path)
    kept(folder, [])
    with ReplayCheck(folder, CLASSES, complete=True) as check:
        pass
    with pytest.raises(SessionError, match="nothing was compared"):
        check.verdict()


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda s: (s / "session.json").unlink(), "is no session: it has no session.json"),
        (lambda s: (s / "session.json").write_text("{"), "session.json: expected JSON"),
        (
            lambda s: (s / "session.json").write_text('{"schema_version": 9}'),
            "session.json: schema_version: expected 1, found 9",
        ),
        (lambda s: (s / "session.json").write_text("[]"), "session.json: expected an object, found []"),
        (
            lambda s: (s / "session.json").write_text("[" * 100_000),
            "session.json: expected JSON, found something else (recursion limit",
        ),
        (
            lambda s: (s / "session.json").write_text('{"schema_version": 1, "x": "\\ud800"}'),
            "session.json: expected JSON, found something else (",
        ),
        (lambda s: edit_facts(s, settings=5), "session.json: settings: expected an object, found 5"),
        (lambda s: edit_facts(s, settings={"max_faces": 10**9}), "settings.max_faces: expected 64 or less"),
        (lambda s: edit_facts(s, settings={"face_at": [0.5]}), "settings.face_at: "),
        (lambda s: edit_facts(s, settings={"face_at": [0.5, -1.0]}), "settings.face_at"),
        (lambda s: (s / "source" / "times.csv").unlink(), "times.csv cannot be read"),
        (
            lambda s: (s / "source" / "times.csv").write_bytes(TIMES + b"0,0,0,1,512,512\n\xff\n"),
            "times.csv cannot be read",
        ),
        (
            lambda s: (s / "source" / "times.csv").write_bytes(TIMES + b"0,nan,0,1,9,9\n1,1,0,1,9,9\n"),
            "line 2 is no row",
        ),
        (
            lambda s: (s / "source" / "times.csv").write_bytes(TIMES + b"0,0,0,1,-5,9\n1,1,0,1,9,9\n"),
            "line 2 is no row",
        ),
        (lambda s: (s / "source" / "times.csv").write_bytes(TIMES + b'0,"' + b"a" * 140_000), "field larger than"),
        (lambda s: (s / "source" / "times.csv").write_text("a,b\n"), "expected the columns frame,time_s"),
        (lambda s: (s / "source" / "0001.mkv").write_bytes(b"nothing"), "holds no whole picture"),
        (lambda s: (s / "source" / "0001.mkv").unlink(), "holds no whole picture"),
    ],
)
def test_a_broken_session_is_one_line(
    folder: Path, tmp_path: Path, broken, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session = shutil.copytree(folder / "session", tmp_path / "s")
    broken(session)
    assert replay(session, model=folder / "tiny.onnx") == 1
    err = capsys.readouterr().err
    assert says in err and err.startswith("error: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("frames.csv", b"frame,time_s\n\xff\xfe\n"), ("frames.csv", b'"' + b"a" * 140_000), ("events.jsonl", b"\xff\n")],
)
def test_what_cannot_be_compared_is_one_line(
    folder: Path, tmp_path: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    session = shutil.copytree(folder / "session", tmp_path / "s")
    (session / name).write_bytes(content)
    assert replay(session, "--check", model=folder / "tiny.onnx") == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and "unexpected" not in err


def test_a_line_that_is_no_row_is_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = shutil.copytree(folder / "session", tmp_path / "s")
    path = session / "source" / "times.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:10], "11,x\n", *lines[11:]]))
    assert replay(session, model=folder / "tiny.onnx") == 1
    assert "times.csv: line 11 is no row of it" in capsys.readouterr().err


def test_without_a_recording_it_says_so(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record(folder, tmp_path / "s", "--max-frames", 2) == 0
    capsys.readouterr()
    assert replay(tmp_path / "s") == 1
    assert "was recorded without --record-source" in capsys.readouterr().err


def test_a_network_cameras_session_comes_again_and_keeps_its_secret(folder: Path, tmp_path: Path) -> None:
    """Times of arrival, frames that were lost on the way: whatever was analysed, the replay gives the same of it."""
    session, out = tmp_path / "s", tmp_path / "out.csv"
    with endless_server(face_frames(40)) as server:
        url = server.url.replace("://", "://anna:geheim@")
        argv = ("--source", url, "--model", folder / "tiny.onnx", "--headless", "--max-frames", 60)
        assert run(*argv, "--session", session, "--record-source") == 0
    facts = facts_of(session)
    assert facts["source"]["live"] and facts["run"]["frames"] == 60
    began, zero, ended = (datetime.fromisoformat(facts[name]) for name in ("started", "zero_time", "ended"))
    assert began <= zero <= ended
    assert replay(session, "--check", "--csv", out, model=folder / "tiny.onnx") == 0
    assert cells_of(out) == cells_of(session / "frames.csv") and len(cells_of(out)) == 61
    for path in session.rglob("*"):
        assert path.is_dir() or b"geheim" not in path.read_bytes(), path


def test_action_units_are_recorded_and_come_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The session's rows have them without being asked, a CSV of its own when it is."""
    told = shutil.copytree(folder, tmp_path / "told", ignore=shutil.ignore_patterns("session"))
    contract = save_tiny_model(told / "tiny.onnx", tiny_contract(action_units=ActionUnits((4, 12), threshold=0.4)))
    session, wanted, plain = tmp_path / "s", tmp_path / "wanted.csv", tmp_path / "plain.csv"
    assert record(told, session, "--record-source", "--csv", wanted, "--action-units") == 0
    header, *rows = csv.reader((session / "frames.csv").open(newline=""))
    assert header[-7:-3] == ["au_4_l", "au_4_r", "au_12_l", "au_12_r"]
    assert cells_of(wanted) == cells_of(session / "frames.csv")
    answered = [row for row in rows if row[header.index("status")] == "ok"]
    assert answered and all(0 < float(cell) < 1 for row in answered for cell in row[-7:-3])
    assert read_rows(SessionFolder(session)).class_names == contract.class_names
    assert replay(session, "--check", "--csv", plain, model=told / "tiny.onnx") == 0
    assert len(cells_of(plain)[0]) == len(cells_of(wanted)[0]) - 4
    assert run("--source", "demo", "--headless", "--model", folder / "tiny.onnx", "--csv", plain, "--action-units") == 1
    assert "--action-units: the model tells none" in " ".join(capsys.readouterr().err.split())

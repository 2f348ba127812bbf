"""What a run writes, and what it must leave alone: its own inputs, yesterday's rows, another run's files, devices."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import stream.sinks.base
from stream.benchmark.__main__ import main as benchmark
from stream.cli.options import parse_options
from stream.session.session_folder import SessionFolder
from stream.sinks.base import SinkError
from stream.sinks.tables import CsvSink, EventsSink
from tests.helpers.paths import ROOT
from tests.helpers.processes import until
from tests.helpers.results import CLASSES, result
from tests.helpers.sessions import facts_of, material, record, run

OLD = b"yesterday\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return material(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def recorded(folder: Path) -> Path:
    assert record(folder, folder / "recorded", "--record-source", "--max-frames", 8) == 0
    return folder / "recorded"


@pytest.fixture
def place(folder: Path, recorded: Path, tmp_path: Path) -> Path:
    """All inputs, with links to them."""
    for name in ("clip.mp4", "tiny.onnx"):
        shutil.copy(folder / name, tmp_path / name)
    (tmp_path / "tiny.stream.onnx").write_bytes(b"streams")
    shutil.copytree(recorded, tmp_path / "recorded")
    for name in ("clip.mp4", "tiny.onnx", "tiny.stream.onnx", "recorded/frames.csv"):
        flat = name.replace("/", "-")
        (tmp_path / f"soft-{flat}").symlink_to(name)
        os.link(tmp_path / name, tmp_path / f"hard-{flat}")
    return tmp_path


def everything(path: Path) -> dict[Path, bytes]:
    return {found: found.read_bytes() for found in sorted(path.rglob("*")) if found.is_file()}


@pytest.mark.parametrize("option", ["--csv", "--events", "--record", "--json", "--markers"])
@pytest.mark.parametrize("name", ["clip.mp4", "tiny.onnx", "tiny.stream.onnx"])
@pytest.mark.parametrize("how", ["", "soft-", "hard-", "./x/../"])
def test_an_output_that_is_an_input_is_refused(
    option: str, name: str, how: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "x").mkdir()
    before = everything(place)
    argv = [
        "--source",
        place / "clip.mp4",
        "--model",
        place / "tiny.onnx",
        "--headless",
        option,
        f"{place}/{how}{name}",
    ]
    if option == "--markers":
        argv += ["--marker-port", "0"]
    with pytest.raises(SystemExit) as caught:
        run(*argv)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert caught.value.code == 2 and everything(place) == before
    assert f"{option} would write over what {'--source' if name == 'clip.mp4' else '--model'} reads" in said


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--source file:DIR/clip.mp4 --csv DIR/clip.mp4", "--csv would write over what --source reads"),
        ("--source demo --csv DEMO", "--csv would write over what --source reads"),
        ("--replay DIR/recorded --csv DIR/recorded/frames.csv", "--csv would write over what --replay reads"),
        ("--replay DIR/recorded --csv DIR/hard-recorded-frames.csv", "--csv would write over what --replay reads"),
        ("--replay DIR/recorded --json DIR/recorded/source/0001.mkv", "--json would write over what --replay reads"),
        ("--replay DIR/recorded --json DIR/recorded/markers.jsonl", "--json would write over what --replay reads"),
        ("--replay DIR/recorded --session DIR/recorded/again", "--session DIR/recorded/again lies in what --replay reads"),
        ("--source demo --session DIR/s --csv DIR/s/frames.csv", "--csv and --session name the same file twice"),
        ("--source demo --session DIR/s --json DIR/s/session.json", "--json and --session name the same file twice"),
        ("--source demo --session DIR/s --csv DIR/s", "--csv and --session name the same file twice"),
        ("--source demo --csv DIR/a --json DIR/x/../a", "--csv and --json name the same file twice"),
        ("--benchmark --source DIR/clip.mp4 --json DIR/clip.mp4", "--json would write over what --source reads"),
        ("--source DIR/clip.mp4 --model . --csv DIR/clip.mp4", "--csv would write over what --source reads"),
        ("--source ~nobody/x.mp4 --csv DIR/a --events DIR/a", "name the same file twice"),
    ],
)  # fmt: skip
def test_whatever_is_read_is_not_written(argv: str, says: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "x").mkdir()
    demo = str(ROOT / "stream" / "sources" / "demo.mp4")
    with pytest.raises(SystemExit) as caught:
        parse_options([word.replace("DIR", str(place)).replace("DEMO", demo) for word in argv.split()])
    assert caught.value.code == 2 and says.replace("DIR", str(place)) in capsys.readouterr().err


def test_the_model_that_a_session_names_is_not_written_over(
    folder: Path, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "tiny.onnx").read_bytes()
    assert run("--replay", recorded, "--headless", "--csv", folder / "tiny.onnx") == 1
    assert "give it with --model" in capsys.readouterr().err
    assert (folder / "tiny.onnx").read_bytes() == before


@pytest.mark.parametrize("option", ["--json", "--chart"])
def test_a_benchmark_leaves_its_clip_alone(option: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(place)
    with pytest.raises(SystemExit) as caught:
        benchmark(["--source", str(place / "clip.mp4"), option, str(place / "hard-clip.mp4")])
    assert caught.value.code == 2 and f"{option} would write over what --source reads" in capsys.readouterr().err
    assert everything(place) == before


def test_what_is_apart_may_lie_side_by_side(folder: Path, recorded: Path, tmp_path: Path) -> None:
    shutil.copytree(recorded, tmp_path / "r")
    argv = ("--replay", tmp_path / "r", "--model", folder / "tiny.onnx", "--headless")
    argv = (*argv, "--csv", tmp_path / "r" / "again.csv")
    assert run(*argv, "--events", os.devnull, "--json", os.devnull) == 0
    assert (tmp_path / "r" / "again.csv").exists() and stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_source_that_is_not_there_leaves_what_was_written_before(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {option: tmp_path / f"old{suffix}" for option, suffix in (("--csv", ".csv"), ("--events", ".jsonl"), ("--record", ".mp4"), ("--json", ".json"), ("--markers", ".txt"))}  # fmt: skip
    for path in outputs.values():
        path.write_bytes(OLD)
    argv = [word for option, path in outputs.items() for word in (option, path)]
    common = ("--model", folder / "tiny.onnx", "--headless", "--marker-port", "0", *argv)
    assert run("--source", tmp_path / "none.mp4", *common) == 1
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 99)
    assert run("--source", tmp_path / "broken.mp4", *common) == 1
    assert [path.read_bytes() for path in outputs.values()] == [OLD] * 5
    assert "Written" not in capsys.readouterr().out
    assert run("--source", folder / "clip.mp4", "--max-frames", 3, *common) == 0
    # A run with frames but without events or marks has none: the files say so.
    assert outputs["--events"].read_bytes() == outputs["--markers"].read_bytes() == b""
    assert outputs["--csv"].read_text().count("\n") == 4 and outputs["--record"].read_bytes()[4:8] == b"ftyp"
    assert json.loads(outputs["--json"].read_text())["frames"] == 3


def test_rows_go_to_a_link_a_fifo_and_a_device(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "rows.csv").write_bytes(OLD)
    (tmp_path / "rows.csv").symlink_to("far/rows.csv")
    (tmp_path / "run.json").symlink_to("far/run.json")
    os.mkfifo(tmp_path / "fifo")
    common = ("--source", folder / "clip.mp4", "--model", folder / "tiny.onnx", "--headless", "--max-frames", 3)
    with subprocess.Popen(["cat", tmp_path / "fifo"], stdout=subprocess.PIPE, text=True) as cat:
        argv = ("--csv", tmp_path / "rows.csv", "--json", tmp_path / "run.json", "--events", tmp_path / "fifo")
        assert run(*common, *argv) == 0
        assert cat.communicate(timeout=20)[0] == ""
    assert (tmp_path / "rows.csv").is_symlink() and (tmp_path / "rows.csv").read_text().count("\n") == 4
    assert (tmp_path / "run.json").is_symlink() and json.loads((tmp_path / "far" / "run.json").read_text())[
        "frames"
    ] == 3
    with subprocess.Popen(["cat", tmp_path / "fifo"], stdout=subprocess.PIPE, text=True) as cat:
        assert run(*common, "--json", tmp_path / "fifo") == 0
        assert json.loads(cat.communicate(timeout=20)[0])["frames"] == 3
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@pytest.mark.parametrize("option", ["--csv", "--events", "--json", "--record"])
@pytest.mark.parametrize("target", ["nowhere/x.mp4", "link.mp4"])
def test_a_link_to_nowhere_is_one_line(
    option: str, target: str, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.mp4").symlink_to(target)
    argv = ("--source", folder / "clip.mp4", "--model", folder / "tiny.onnx", "--headless", "--max-frames", 1)
    assert run(*argv, option, tmp_path / "link.mp4") == 1
    said = capfd.readouterr().err.strip()
    assert len(said.splitlines()) == 1 and f"{tmp_path}/link.mp4: " in said and "unexpected" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["link.mp4"]


@contextmanager
def live_run(folder: Path, *argv: object) -> Iterator[subprocess.Popen[str]]:
    """The demo at its own pace, in a process of its own."""
    command = [sys.executable, ROOT / "run_live.py", "--source", "demo", "--model", folder / "tiny.onnx", "--headless", "--pace", "realtime"]  # fmt: skip
    with subprocess.Popen(
        [str(word) for word in (*command, *argv)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("option", "what"), [("--csv", "CSV file"), ("--events", "events file"), ("--record", "video")]
)
def test_a_file_that_another_run_is_writing_is_refused(
    option: str, what: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, rows = tmp_path / "out.mp4", tmp_path / "first.csv"
    argv = ("--source", folder / "clip.mp4", "--model", folder / "tiny.onnx", "--headless", option, path)
    more = () if option == "--csv" else ("--csv", rows)
    with live_run(folder, option, path, *more) as first:
        until(
            lambda: (rows if more else path).exists() and (rows if more else path).read_bytes().count(b"\n") > 3, first
        )
        before = path.read_bytes()
        assert run(*argv) == 1
        said = capsys.readouterr().err
        assert said == f"error: cannot write the {what} {path}: another run is writing it; give another name\n"
        assert path.read_bytes().startswith(before)
    # It died without a word: the file is free again.
    assert run(*argv, "--max-frames", 2) == 0


def test_of_two_runs_into_one_new_session_one_goes_on(folder: Path, tmp_path: Path) -> None:
    for attempt in range(2):
        session = tmp_path / f"s{attempt}"
        with live_run(folder, "--session", session) as first, live_run(folder, "--session", session) as second:
            deadline = time.monotonic() + 120
            while first.poll() is None and second.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            lost, other = (first, second) if second.poll() is None else (second, first)
            assert lost.wait() in (1, 2) and lost.stderr is not None
            said = lost.stderr.read().strip().splitlines()[-1]
            assert str(session) in said and ("another run has just begun there" in said or "is not empty" in said)
            rows = session / "frames.csv"
            until(lambda rows=rows: rows.exists() and rows.read_text().count("\n") > 10, other)
        frames = [line.split(",")[0] for line in rows.read_text().splitlines()[1:]]
        assert frames == [str(number) for number in range(len(frames))]


def test_two_sinks_of_one_process_do_not_share_a_file(tmp_path: Path) -> None:
    with CsvSink(tmp_path / "a", CLASSES) as sink:
        sink.write(result(0))
        os.link(tmp_path / "a", tmp_path / "b")
        for name in ("a", "b"):
            with pytest.raises(SinkError, match="another run is writing it"):
                EventsSink(tmp_path / name)
    EventsSink(tmp_path / "b").close()


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_cost_no_row(closed: str, folder: Path, tmp_path: Path) -> None:
    words = [sys.executable, ROOT / "run_live.py", "--source", folder / "clip.mp4", "--model", folder / "tiny.onnx", "--headless",
             "--max-frames", 5, "--csv", tmp_path / "o.csv", "--json", tmp_path / "o.json", "--session", tmp_path / "s"]  # fmt: skip
    line = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(["sh", "-c", f"{line} {closed}"], cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == 0
    rows = (tmp_path / "o.csv").read_text()
    assert rows.count("\n") == 6 and rows.startswith("frame,") and rows == (tmp_path / "s" / "frames.csv").read_text()
    assert facts_of(tmp_path / "s")["state"] == "finished" and json.loads((tmp_path / "o.json").read_text())


ENDLESS = ["frames.csv", "events.jsonl", "session.json", "source/times.csv", "source/0001.mkv", "markers.jsonl"]


@pytest.mark.parametrize("kind", ["fifo", "zero"])
@pytest.mark.parametrize("name", ENDLESS)
def test_a_session_with_a_file_that_has_no_end_is_refused(
    name: str, kind: str, folder: Path, recorded: Path, tmp_path: Path
) -> None:
    """In a process of its own, which must end by itself."""
    shutil.copytree(recorded, tmp_path / "s")
    path = tmp_path / "s" / name
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    asked = ["--replay", tmp_path / "s", "--model", folder / "tiny.onnx"]
    if not name.startswith("source/"):
        asked = ["--report", tmp_path / "s"]
    command = [sys.executable, ROOT / "run_live.py", "--headless", *asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (
        done.returncode == 1
        and done.stderr == f"error: {path} cannot be read: it is no regular file; expected a file\n"
    )


@pytest.mark.parametrize("begins", [False, True])
def test_a_disk_that_fills_while_a_session_is_made(
    begins: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first row nothing stays; after it the session says that it failed, though there is room for no new file."""
    real, full, writes = stream.sinks.base.FileIO, False, 0

    class Full(real):
        def write(self, data: object) -> int:  # type: ignore[override]
            nonlocal full, writes
            writes += 1
            full = full or not begins or writes > 20
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)  # type: ignore[arg-type]

    def no_new_file(path: Path) -> Path:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return path

    whole_file = stream.sinks.base.whole_file
    monkeypatch.setattr(stream.sinks.base, "FileIO", Full)
    monkeypatch.setattr(stream.sinks.base, "whole_file", lambda path: whole_file(no_new_file(path)))
    assert record(folder, tmp_path / "s") == 1
    assert capsys.readouterr().err.strip().endswith("No space left on device")
    assert (tmp_path / "s").exists() == begins
    if begins:
        facts = SessionFolder(tmp_path / "s").read_facts()
        assert facts["state"].startswith("failed: cannot write the CSV file") and facts["ended"]

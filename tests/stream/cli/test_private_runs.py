"""What a run shows and keeps of its source, and who may read it; with the real program."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stream.cli.options import parse_options
from tests.helpers.clips import face_frames
from tests.helpers.mjpeg_server import endless_server
from tests.helpers.paths import ROOT
from tests.helpers.sessions import facts_of, material, run

NAME = "anna-miller"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and a clip."""
    return material(tmp_path_factory.mktemp("private"))


def test_an_anonymised_session_holds_no_name(folder: Path, tmp_path: Path) -> None:
    clip = next(path for path in folder.iterdir() if path.suffix in (".mp4", ".avi", ".mkv"))
    named = tmp_path / NAME / f"{NAME}{clip.suffix}"
    named.parent.mkdir()
    named.write_bytes(clip.read_bytes())
    for number, more in enumerate(((), ("--label", "person 7"))):
        session = tmp_path / f"s{number}"
        argv = ("--source", named, "--model", folder / "tiny.onnx", "--headless", "--pace", "fast", "--max-frames", 20)
        outputs = ("--csv", named.with_suffix(".csv"), "--json", named.with_suffix(".json"))
        assert run(*argv, *outputs, "--session", session, "--record-source", "--anonymise", *more) == 0
        facts = facts_of(session)
        assert facts["source"]["name"] == facts["run"]["source"] == facts["settings"]["source"]
        assert facts["source"]["name"] == "person 7" if more else facts["source"]["name"].startswith("source ")
        for path in session.rglob("*"):
            assert path.is_dir() or NAME.encode() not in path.read_bytes(), path
        assert NAME not in named.with_suffix(".json").read_text()


def test_a_label_stands_for_the_source_in_every_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ("--source", "demo", "--model", folder / "tiny.onnx", "--headless", "--pace", "fast", "--max-frames", 5)
    assert run(*argv, "--session", tmp_path / "s", "--label", "room 2") == 0
    assert facts_of(tmp_path / "s")["source"]["name"] == "room 2"


def test_what_a_run_keeps_is_for_its_owner(folder: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        argv = ("--source", "demo", "--headless", "--pace", "fast", "--max-frames", 200, "--csv", tmp_path / "o.csv")
        assert run(*argv, "--session", tmp_path / "a" / "s", "--record-source", "--record", tmp_path / "o.mp4") == 0
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    for path in (tmp_path / "o.csv", tmp_path / "o.mp4", tmp_path / "a", *(tmp_path / "a").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_an_address_and_a_token_come_from_files_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "address").write_text("rtsp://me:zebra@host/x\nmore\n")
    (tmp_path / "token").write_text("abcdefghijklmnop-zebra\n")
    options = parse_options(
        ["--source-file", str(tmp_path / "address"), "--serve", "0", "--serve-token-file", str(tmp_path / "token")]
    )
    assert options.source == "rtsp://me:zebra@host/x" and "source" in options.chosen
    assert (
        options.serve is not None and options.serve.token == "abcdefghijklmnop-zebra" and "zebra" not in repr(options)
    )
    monkeypatch.setenv("MICROLIVE_SOURCE", "rtsp://me:zebra@host/y")
    monkeypatch.setenv("MICROLIVE_SERVE_TOKEN", "qrstuvwxyzabcdef-zebra")
    options = parse_options(["--serve", "0"])
    assert options.source == "rtsp://me:zebra@host/y"
    assert options.serve is not None and options.serve.token == "qrstuvwxyzabcdef-zebra"
    assert parse_options(["--camera", "1"]).source == 1 and parse_options(["--source", "demo"]).source == "demo"
    monkeypatch.setenv("MICROLIVE_SERVE_TOKEN", "zebra")
    for argv in (
        ["--serve", "0"],
        ["rtsp://me:zebra@host/x"],
        ["--camera", "rtsp://me:zebra@host/x"],
        ["--camera=rtsp://me:zebra@host/x"],
        ["--benchmark", "--source", "rtsp://me:zebra@host/x"],
        ["--source-file", str(tmp_path / "missing")],
        ["--source-file", str(tmp_path / "address"), "--source", "rtsp://me:zebra@host/x"],
    ):
        with pytest.raises(SystemExit) as ended:
            parse_options(argv)
        said = capsys.readouterr().err
        assert ended.value.code == 2 and "zebra" not in said and "error: " in said, argv


def test_no_process_has_the_address_in_its_command_line(folder: Path, tmp_path: Path) -> None:
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("no /proc here")
    with endless_server(face_frames(40)) as server:
        (tmp_path / "address").write_text(server.url.replace("://", "://anna:zebra@") + "\n")
        argv = [sys.executable, str(ROOT / "run_live.py"), "--source-file", str(tmp_path / "address"), "--headless"]
        argv += ["--model", str(folder / "tiny.onnx"), "--csv", str(tmp_path / "rows.csv")]
        program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            while program.poll() is None and (
                not (tmp_path / "rows.csv").exists() or (tmp_path / "rows.csv").stat().st_size < 500
            ):
                pass
            lines = []
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    lines.append(path.read_bytes())
                except OSError:
                    continue
            assert any(b"capture_child" in line for line in lines) and not any(b"zebra" in line for line in lines)
        finally:
            program.terminate()
            said = program.communicate(timeout=30)[0]
    assert b"zebra" not in said


def test_a_jpeg_of_another_kind_is_no_face(tmp_path: Path) -> None:
    from train.synth.faces import FaceError, load_faces

    (tmp_path / "a_1.jpg").write_bytes(b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(100))
    with pytest.raises(FaceError, match="not a readable picture"):
        load_faces(tmp_path)

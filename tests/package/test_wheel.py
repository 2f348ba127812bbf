"""The package as a user has it: a wheel in an environment without extras, in a folder with a space and an umlaut in its name,
run from somewhere else."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stream.machine import VERSION
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow

PARTS = ("microlive", "model", "stream", "train", "export", "run_live.py", "pyproject.toml", "README.md", "LICENSE")
LABELS = ("negative", "positive", "surprise")
"""Of the demo's micro-expressions, in their order."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy: building leaves folders behind.
    source = folder / "source"
    source.mkdir()
    for part in PARTS:
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, source / part)
    pip("wheel", "--no-deps", "--wheel-dir", folder, source)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("Größe und Maß") / "ein Ort"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip("install", wheel, python=programs / "python")
    return programs


def pip(*arguments: str | Path, python: str | Path = sys.executable) -> None:
    done = subprocess.run([python, "-m", "pip", *arguments, "--quiet"], capture_output=True, text=True)
    if re.search(r"Could not find a version|NewConnectionError|No matching distribution|ConnectTimeout", done.stderr):
        known = subprocess.run([python, "-m", "pip", "index", "versions", "pip"], capture_output=True)
        if known.returncode != 0:
            pytest.skip("pip reaches no index here")
    assert done.returncode == 0, done.stderr


def run(command: list[str | Path], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        command, cwd=folder, env={**inherited, **environment}, capture_output=True, text=True, timeout=300
    )


def test_the_wheel_has_everything_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name == f"microlive-{VERSION}-py3-none-any.whl"
    tops = {name.split("/")[0] for name in names}
    assert tops == {"microlive", "model", "stream", "train", "export", "run_live.py", f"microlive-{VERSION}.dist-info"}
    tracked = subprocess.run(["git", "ls-files", *PARTS[:5]], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode == 0:
        assert sorted(set(tracked.stdout.splitlines()) - set(names)) == []
    assert {f"{folder}/py.typed" for folder in PARTS[:5]} <= set(names)


def test_the_live_program_runs_from_another_folder(environment: Path, tmp_path: Path) -> None:
    out = ["--csv", "rows.csv", "--events", "events.jsonl", "--json", "run.json", "--record", "overlay.mp4"]
    done = run([environment / "microlive", "--source", "demo", "--headless", "--pace", "fast", *out], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 420 and {row["status"] for row in rows} >= {"filling", "ok"}
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event["label"] for event in events if "rejected" not in event] == list(LABELS)
    assert (tmp_path / "overlay.mp4").stat().st_size > 10_000


def test_a_session_of_it_has_its_report(environment: Path, tmp_path: Path) -> None:
    frames = ["--max-frames", "60", "--session", "kept"]
    done = run([environment / "microlive", "--source", "demo", "--headless", "--pace", "fast", *frames], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "kept" / "report.html").stat().st_size > 10_000
    facts = json.loads((tmp_path / "kept" / "session.json").read_text(encoding="utf-8"))
    assert facts["program"] == {"name": "microlive", "version": VERSION}


def test_so_does_the_library(environment: Path, tmp_path: Path) -> None:
    code = (
        "import json, sys, microlive\n"
        "from microlive import Recognizer\n"
        "with Recognizer() as recognizer:\n"
        "    events = [event for result in recognizer.run('demo') for event in result.events]\n"
        "print(json.dumps([event.label for event in events if event.rejected is None]))\n"
        "print(microlive.__version__, sorted({'tensorflow', 'keras', 'train'} & set(sys.modules)))\n"
    )
    done = run([environment / "python", "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [json.dumps(LABELS), f"{VERSION} []"]


def test_no_training_framework_is_there_and_all_versions_fit(environment: Path, tmp_path: Path) -> None:
    listed = run([environment / "python", "-m", "pip", "list", "--format", "json"], tmp_path)
    names = {one["name"].lower() for one in json.loads(listed.stdout)}
    assert "microlive" in names and not names & {"tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime-gpu", "ray"}
    checked = run([environment / "python", "-m", "pip", "check"], tmp_path)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("script", ["microlive-train", "microlive-export"])
def test_commands_that_need_an_extra_say_which(environment: Path, tmp_path: Path, script: str) -> None:
    done = run([environment / script, "--help"], tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(
        r'error: \w+ and \d+ others are not installed here: pip install "microlive\[train\]"\n', done.stderr
    )


def test_the_live_programs_help_needs_none(environment: Path, tmp_path: Path) -> None:
    done = run([environment / "microlive", "--help"], tmp_path)
    assert done.returncode == 0 and "--camera" in done.stdout


@pytest.mark.parametrize("script", ["microlive", "microlive-train", "microlive-export"])
def test_somebody_elses_model_is_refused_in_one_line(environment: Path, tmp_path: Path, script: str) -> None:
    (tmp_path / "model.py").write_text("")
    done = run([environment / script, "--help"], tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: microlive needs its own package model in ") and done.stderr.count("\n") == 1
    assert str(tmp_path / "model.py") in done.stderr


def test_a_file_of_that_name_where_it_is_run_does_no_harm(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("raise SystemExit('not this one')")
    done = run([environment / "microlive", "--help"], tmp_path)
    assert done.returncode == 0, done.stderr

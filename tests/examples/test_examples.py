"""Every example does what it says, run as a user runs it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stream.sources.demo import DEMO_CLIP
from tests.helpers.paths import ROOT

EXAMPLES = ROOT / "examples"


def run(name: str, *argv: str, timeout_s: float = 120) -> str:
    """What an example prints."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *argv]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_none_is_left_out() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 45 for path in EXAMPLES.glob("*.py"))


def test_webcam_loop() -> None:
    told = run("webcam_loop", "demo")
    assert "filling" in told and "surprise" in told and told.count("event:") >= 3


def test_own_frames() -> None:
    told = [line for line in run("own_frames", str(DEMO_CLIP)).splitlines() if "'rejected'" not in line]
    assert [label in line for label, line in zip(("negative", "positive", "surprise"), told, strict=True)] == [True] * 3


def test_folder_to_table(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(DEMO_CLIP, folder / "b.mp4")
    (folder / "a.mp4").write_bytes(b"no video")
    run("folder_to_table", str(folder), str(tmp_path / "events.csv"))
    with (tmp_path / "events.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["video"], row["label"]) for row in rows] == [
        ("b.mp4", "negative"), ("b.mp4", "positive"), ("b.mp4", "surprise"),
    ]  # fmt: skip


def test_events_to_callback() -> None:
    told = run("events_to_callback", "demo")
    assert all(f"1  micro {label}" in told for label in ("negative", "positive", "surprise"))
    assert "no_expression" in told, "the demo's blinks"


def test_custom_sink(tmp_path: Path) -> None:
    assert "slowest answer" in run("custom_sink", "demo", str(tmp_path / "rows.csv"))
    assert len((tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()) == 421


@pytest.mark.slow
def test_train_export_run(tmp_path: Path) -> None:
    told = run("train_export_run", str(tmp_path / "out"), "40", "1", timeout_s=600)
    labels = json.loads(told.strip().splitlines()[-1].replace("'", '"'))
    assert sum(labels.values()) > 300 and set(labels) <= {"negative", "positive", "surprise", "neutral"}

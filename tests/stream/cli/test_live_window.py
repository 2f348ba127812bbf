"""The live program in a real window: keys, a snapshot, and an end by key."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.helpers.clips import face_frames, write_video
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S


def press(key: str) -> None:
    subprocess.run(
        ["xdotool", "search", "--sync", "--onlyvisible", "--name", "Microlive", "key", "--window", "%@", key],
        check=True,
    )


@pytest.mark.gui
def test_keys_in_the_live_window(display: str, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "tiny.onnx")
    clip = write_video(tmp_path / "clip.mp4", face_frames(60), fps=2.0)
    command = [sys.executable, "run_live.py", "--source", str(clip), "--model", str(tmp_path / "tiny.onnx"),
               "--snapshots", str(tmp_path / "shots"), "--csv", str(tmp_path / "out.csv")]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for key in ("h", "h", "space", "space", "r", "s"):
            press(key)
        # A key pressed while the program draws can be lost: ask until the picture is there.
        while not list(tmp_path.glob("shots/*.png")):
            assert process.poll() is None, process.communicate()
            press("s")
        press("q")
        shown, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    assert "No display" not in shown and "Snapshot:" in shown and "Traceback" not in errors
    picture = cv2.imread(str(next(tmp_path.glob("shots/*.png"))))
    assert picture.shape == (512, 512, 3)
    assert len((tmp_path / "out.csv").read_text().splitlines()) > 1

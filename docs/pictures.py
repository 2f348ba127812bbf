"""Makes the README's pictures anew: `make pictures`. The overlay on the demo, and clips of the generator."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SHOWN_S = 7.2


def overlay() -> None:
    """A frame of the demo's overlay video, just after its second micro-expression."""
    video = ROOT / "runs" / "demo" / "demo.mp4"
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_POS_FRAMES, round(SHOWN_S * capture.get(cv2.CAP_PROP_FPS)))
    found, picture = capture.read()
    if not found:
        sys.exit(f"{video} cannot be read: run `make demo` first")
    cv2.imwrite(str(DOCS / "overlay.png"), picture)


def synthetic() -> None:
    """The generator's own contact sheet, of faces that come with the project."""
    store = ROOT / "runs" / "pictures"
    command = [sys.executable, "-m", "train", "synth", "--out", str(store), "--clips", "40", "--preview", "--overwrite"]
    subprocess.run(command, cwd=ROOT, check=True)
    shutil.copy(store / "preview.png", DOCS / "synthetic.png")


if __name__ == "__main__":
    overlay()
    synthetic()

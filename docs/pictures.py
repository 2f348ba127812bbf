"""Makes the README's pictures anew: `make pictures`. The overlay on the demo, and clips of the generator."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
AFTER_APEX_S = 1.4
"""By then an event has been decided, and is still shown at its face."""


def overlay() -> None:
    """A frame of the demo's overlay video, just after its last micro-expression was decided."""
    folder = ROOT / "runs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    video, events = folder / "demo.mp4", folder / "demo.jsonl"
    command = [sys.executable, "run_live.py", "--source", "demo", "--headless", "--pace", "realtime"]
    subprocess.run([*command, "--record", str(video), "--events", str(events)], cwd=ROOT, check=True)
    found = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    apexes_s = [event["apex_s"] for event in found if event["kind"] == "micro" and "rejected" not in event]
    if not apexes_s:
        sys.exit("the demo shows no micro-expression: no picture of one can be made")
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_POS_FRAMES, round((apexes_s[-1] + AFTER_APEX_S) * capture.get(cv2.CAP_PROP_FPS)))
    read, picture = capture.read()
    if not read:
        sys.exit(f"{video} cannot be read")
    cv2.imwrite(str(DOCS / "overlay.png"), picture)


def session() -> None:
    """The demo's first event, and the top of its session's report as Chromium shows it (left as it is without one)."""
    folder = ROOT / "runs" / "pictures" / "session"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "run_live.py", "--source", "demo", "--headless", "--pace", "realtime"]
    subprocess.run(
        [*command, "--session", str(folder), "--consent", "a made clip of a free portrait"], cwd=ROOT, check=True
    )
    shutil.copy(folder / "events" / "0001.png", DOCS / "event.png")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        print("Chromium is not installed: docs/report.png is left as it is")
        return
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,1500"]
    flags += [f"--user-data-dir={folder.parent / 'chromium'}", f"--screenshot={DOCS / 'report.png'}"]
    subprocess.run([browser, *flags, (folder / "report.html").as_uri()], check=True, stderr=subprocess.DEVNULL)


def synthetic() -> None:
    """The generator's own contact sheet, of faces that come with the project."""
    store = ROOT / "runs" / "pictures" / "synth"
    command = [sys.executable, "-m", "train", "synth", "--out", str(store), "--clips", "40", "--preview", "--overwrite"]
    subprocess.run(command, cwd=ROOT, check=True)
    shutil.copy(store / "preview.png", DOCS / "synthetic.png")


if __name__ == "__main__":
    overlay()
    session()
    synthetic()

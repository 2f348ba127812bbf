"""Recorded sessions for the tests, made by the program itself."""

import json
from pathlib import Path
from typing import Any

import run_live
from tests.helpers.clips import empty_frames, face_frames, write_video
from tests.helpers.models import save_tiny_model
from train.synth.demo_clip import DemoClip


def material(folder: Path) -> Path:
    """A tiny model and a clip: somebody, nobody, somebody."""
    save_tiny_model(folder / "tiny.onnx")
    write_video(folder / "clip.mp4", face_frames(45) + empty_frames(5) + face_frames(35, seed=1))
    return folder


def run(*argv: object) -> int:
    return run_live.main([str(word) for word in argv])


def record(folder: Path, session: Path, *more: object) -> int:
    """A session of the clip in the folder."""
    argv = ("--source", folder / "clip.mp4", "--model", folder / "tiny.onnx", "--headless", "--pace", "fast")
    return run(*argv, "--session", session, *more)


def demo_frames() -> int:
    """So many that the demo's first micro-expression has been decided, about a second after its apex."""
    clip = DemoClip()
    return round((min(event.apex_s for event in clip.events) + 1.5) * clip.fps)


def accepted_of(session: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in (session / "events.jsonl").read_text().splitlines()]
    return [event for event in events if "rejected" not in event]


def facts_of(session: Path) -> dict[str, Any]:
    return json.loads((session / "session.json").read_text())


def cells_of(path: Path) -> list[list[str]]:
    """The rows of a CSV without their last column, the latency."""
    return [line.split(",")[:-1] for line in path.read_text().splitlines()]

"""What a run looks at, what recognises, and what it shows and writes: topics of the command line."""

import argparse
import os
from pathlib import Path
from typing import get_args

from model.decision import DEFAULT_SENSITIVITY
from model.types import Pace
from stream.cli.option_types import (
    camera_number,
    false_a_minute,
    frame_rate_hz,
    label,
    not_negative,
    not_negative_number,
    number_of_faces,
    picture_size_px,
    place_in_picture,
    positive,
    timeout_s,
)
from stream.cli.topics import Add, Topic
from stream.engine.model_file import EngineChoice, Provider
from stream.sources.base import MOST_CAMERA_FPS, CameraSettings, LiveSettings

_LONGEST_LINE = 8192
_USUAL = LiveSettings()

_SOURCES_LESSON = """\
A source is a camera, a video file, pictures (a folder, img%05d.jpg, or '*.png' in quotes),
a video through a pipe (-), a network stream (rtsp, http, …), or the built-in demo. Of a
camera or a stream the newest frame wins; when it breaks off, the program says so, tries
again and goes on when it is back. Of a file no frame is dropped, its times are its own,
and it is turned upright. A video filmed at 240 frames a second and stored at 30 has true
times with --fps 240. Of an address only scheme, host and port are shown or written. A
command line can be read by everybody on the machine: an address with a password is given
by --source-file or MICROLIVE_SOURCE.

  python run_live.py --list-cameras
  python run_live.py --camera 1 --size 1280x720 --fps 30 --wait
  python run_live.py --source-file address.txt --retry-for 60
  python run_live.py --source talk.mp4 --pace fast --max-frames 1000
  python run_live.py --source frames/ --fps 200 --csv frames.csv
  ffmpeg -i talk.mp4 -f matroska - | python run_live.py --source - --headless
"""
_MODEL_LESSON = """\
The bundled model was trained on synthetic clips; one of your own comes from
python -m train and python -m export. The screen shows what it really runs on.
Whether a movement counts as a micro-expression depends on how many false ones you are willing
to look at a minute, of those in which a face can be read. For an alarm
take a low --sensitivity (0.1: a false one in ten minutes, and more is missed), for a coder who
looks through candidates a high one (5: less is missed). What it comes to was measured on
people the model had not seen; with yours it may be another. Changing your mind needs no new
run: --events has every candidate with its probability.

  python run_live.py --camera 0 --model exported/model.onnx --provider cuda
  python run_live.py --source two.mp4 --max-faces 2 --events two.jsonl
  python run_live.py --source talk.mp4 --headless --sensitivity 5 --events candidates.jsonl
  python run_live.py --source talk.mp4 --one-person --events talk.jsonl
"""
_OUTPUTS_LESSON = """\
The CSV says what the last second of every frame held: a label and all probabilities, or
the reason why there is no answer. --action-units adds how likely each action unit (FACS)
acts on each side, where the model tells them. An event says when something happened: its
onset, apex and offset; it is written about a second after its apex.
Keys in the window: q or Esc quit, space pause, r reset, s snapshot, h help.

  python run_live.py --source talk.mp4 --headless --csv talk.csv --events talk.jsonl
  python run_live.py --camera 0 --record overlay.mp4 --json run.json
"""


def _add_sources(add: Add) -> None:
    add("--camera", "a camera's number (default: 0)", common=True, type=camera_number, metavar="N")
    add(
        "--source",
        "a video file, a folder of pictures, a stream, or the built-in demo",
        common=True,
        metavar="FILE|FOLDER|URL|demo",
    )
    add(
        "--source-file",
        "a file whose first line is the source",
        "For an address with a password in it. Without any source on the command line, that in MICROLIVE_SOURCE is taken",
        type=Path,
        metavar="FILE",
    )
    add(
        "--label",
        "what the source is called on the screen and in files, in place of its name",
        type=label,
        metavar="TEXT",
    )
    add("--list-cameras", "show the cameras that can be opened, then end", common=True, action="store_true")
    add(
        "--pace",
        "a file at its own speed, or as fast as it goes",
        "Default: realtime in a window, a web view or an experiment, else fast",
        common=True,
        choices=get_args(Pace),
    )
    add("--max-frames", "end after N frames", type=positive, metavar="N")
    add("--size", "ask the camera for pictures of this size, e.g. 1280x720", type=picture_size_px, metavar="WxH")
    add(
        "--fps",
        "ask the camera for so many frames a second; of a file: filmed at so many",
        "Of pictures: so many are a second (default: 30)",
        type=frame_rate_hz,
        metavar="N",
    )
    add(
        "--backend",
        "what OpenCV reads the camera with, e.g. v4l2",
        "A name that is not there lists those that are (default: auto)",
        metavar="NAME",
    )
    add(
        "--open-timeout",
        f"until a camera or stream gives its first picture (default: {_USUAL.open_timeout_s:g})",
        type=timeout_s,
        metavar="S",
    )
    add(
        "--read-timeout",
        f"without a picture for so long, it is opened again (default: {_USUAL.read_timeout_s:g})",
        type=timeout_s,
        metavar="S",
    )
    add(
        "--retry-for",
        "a camera or stream that is lost is opened again for so long",
        "Then the run ends with an error (default: for ever; 0: the end of a stream is the end of the run)",
        type=not_negative_number,
        metavar="S",
    )
    add(
        "--wait",
        "wait for a camera or stream that is not there at the start, instead of ending",
        action="store_true",
    )


def _add_model(add: Add) -> None:
    add("--model", "an exported .onnx model (default: the bundled one)", common=True, type=Path, metavar="PATH")
    add(
        "--provider",
        "run the model on auto, cpu, cuda or tensorrt",
        "Anything but auto fails when it is not there (default: auto, a GPU if there is one)",
        common=True,
        choices=get_args(Provider),
        default="auto",
        metavar="NAME",
    )
    add(
        "--max-faces",
        "follow up to N faces (default: 1, the largest)",
        "Each has its own window and events",
        common=True,
        type=number_of_faces,
        metavar="N",
    )
    add(
        "--face",
        "follow the face at X,Y of the picture, whatever its size",
        "Pixels, or shares such as 0.5,0.4. Posters, which never move, are left out without it",
        type=place_in_picture,
        metavar="X,Y",
    )
    add(
        "--one-person",
        "only one person is there: whoever is seen keeps number 1",
        "A person out of sight for some seconds is known again by place, size and looks even without it, where that is sure",
        action="store_true",
    )
    add(
        "--engine",
        "a frame at a time, or the whole window at every frame",
        "The answers are the same (default: auto, streaming)",
        choices=get_args(EngineChoice),
    )
    add(
        "--threads",
        "threads of the model (default: 0, half the cores for streaming, all for window)",
        type=not_negative,
        default=0,
        metavar="N",
    )
    add(
        "--sensitivity",
        f"false events a minute to put up with (default: {DEFAULT_SENSITIVITY:g})",
        "Low for an alarm, high to look through candidates; all are written with their probability anyway",
        common=True,
        type=false_a_minute,
        metavar="F",
    )
    add("--no-events", "labels only: look for no events", action="store_true")


def _add_outputs(add: Add) -> None:
    add(
        "--headless",
        "no window, a panel in the terminal",
        "So it is without a display anyway",
        common=True,
        action="store_true",
    )
    add("--csv", "write one row for every frame and face", common=True, type=Path, metavar="OUT.csv")
    add("--action-units", "with --csv: a column for each side of every action unit, too", action="store_true")
    add(
        "--events",
        "write micro-expression events as they are decided",
        "One JSON object a line; those that were rejected with the reason",
        common=True,
        type=Path,
        metavar="OUT.jsonl",
    )
    add("--record", "record the overlay at the source's true speed", common=True, type=Path, metavar="OUT.mp4")
    add("--json", "write counts, times and memory of the run at its end", type=Path, metavar="OUT.json")
    add(
        "--snapshots",
        "folder for key s (default: runs/snapshots)",
        type=Path,
        default=Path("runs/snapshots"),
        metavar="DIR",
    )
    add("--debug", "show the traceback of an error", action="store_true")


SOURCES = Topic("sources", "cameras, files and streams: formats, pace, patience", _add_sources, _SOURCES_LESSON)
MODEL = Topic("model", "what recognises, on what, how many faces", _add_model, _MODEL_LESSON)
OUTPUTS = Topic("outputs", "screen and files", _add_outputs, _OUTPUTS_LESSON)


def check_faces(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Ends with a usage error where there is one person and more are to be followed."""
    if given.one_person and given.max_faces is not None and given.max_faces > 1:
        parser.error(f"--one-person follows one face: leave out --max-faces {given.max_faces}")


def check_outputs(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Ends with a usage error where options do not go together."""
    if given.no_events and given.events is not None:
        parser.error("--no-events leaves nothing to write to --events")
    if given.no_events and given.sensitivity is not None:
        parser.error("--no-events leaves nothing to decide for --sensitivity")
    if given.action_units and given.csv is None:
        parser.error("--action-units adds columns to --csv: give it a file")


def read_source(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int | str | None:
    """What the command line, a file or the environment names; None where nothing does. Ends with a usage error for what
    names nothing."""
    if given.source_file is not None:
        return first_line(given.source_file, "--source-file", parser)
    if given.source is not None or given.camera is not None:
        return given.camera if given.source is None else given.source
    elsewhere = given.replay is not None or given.report is not None or given.list_cameras or given.benchmark
    return None if elsewhere else os.environ.get("MICROLIVE_SOURCE") or None


def first_line(path: Path, flag: str, parser: argparse.ArgumentParser) -> str:
    """Of a file that keeps a secret off the command line; ends with a usage error, which tells nothing of it."""
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(_LONGEST_LINE).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        parser.error(f"{flag} {path} cannot be read: {why}")
    if not line:
        parser.error(f"{flag} {path}: its first line is empty")
    return line


def read_live_settings(given: argparse.Namespace, parser: argparse.ArgumentParser, source: int | str) -> LiveSettings:
    """Ends with a usage error where options do not fit the source."""
    is_camera, is_stream = isinstance(source, int), isinstance(source, str) and "://" in source
    for_cameras = {"--size": given.size, "--backend": given.backend}
    for_live = {
        "--open-timeout": given.open_timeout,
        "--read-timeout": given.read_timeout,
        "--retry-for": given.retry_for,
        "--wait": given.wait or None,
    }
    for name, value in for_cameras.items():
        if value is not None and not is_camera:
            parser.error(f"{name} is for cameras: use it with --camera N")
    if given.fps is not None and (is_stream or source == "demo"):
        parser.error("--fps is for cameras and files, not for streams or the demo")
    if given.fps is not None and is_camera and given.fps > MOST_CAMERA_FPS:
        parser.error(f"--fps: expected up to {MOST_CAMERA_FPS:g} of a camera, found {given.fps:g}")
    for name, value in for_live.items():
        if value is not None and not (is_camera or is_stream):
            parser.error(f"{name} is for cameras and streams, not for files")
    return LiveSettings(
        open_timeout_s=given.open_timeout or _USUAL.open_timeout_s,
        read_timeout_s=given.read_timeout or _USUAL.read_timeout_s,
        retry_for_s=given.retry_for,
        wait=given.wait,
        camera=CameraSettings(given.size, given.fps if is_camera else None, _backend(given.backend, parser)),
    )


def _backend(name: str | None, parser: argparse.ArgumentParser) -> str:
    if name is None or name == "auto":
        return "auto"
    # OpenCV is loaded only to look a name up.
    from stream.sources.opencv_reader import camera_backends

    if name.lower() not in camera_backends():
        parser.error(f"--backend: expected auto or one of {', '.join(camera_backends())}, found {name!r}")
    return name.lower()

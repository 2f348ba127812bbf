"""The command line of the live program, parsed into one frozen value."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.types import Pace
from stream.model_file import BUNDLED_MODEL, EngineChoice, Provider

_EXAMPLES = """\
examples:
  python run_live.py --camera 0                      your webcam, in a window
  python run_live.py --source demo                   the built-in demo, no camera needed
  python run_live.py --source talk.mp4 --csv out.csv --headless --pace fast
                                                     a file as fast as it goes, one CSV row for every frame
  python run_live.py --source talk.mp4 --max-faces 2 --events events.jsonl
                                                     micro-expressions of two people as JSON lines: onset, apex, offset
  python run_live.py --source rtsp://host/stream --record out.mp4
  python run_live.py --benchmark --json bench.json   how fast it is on this machine

keys in the window: q or Esc quit, space pause, r reset, s snapshot, h help

Labels are what a model trained on synthetic clips makes of small facial movements. They are no lie detector, and no
judgement of a person may rest on them.
"""

_MAX_FACES = 16


@dataclass(frozen=True)
class LiveOptions:
    """What a live run is to do. `source` is a camera's index, a path, a URL or "demo"; `pace` None: by the display."""

    source: int | str
    model: Path
    provider: Provider
    engine: EngineChoice
    threads: int
    max_faces: int
    detect_events: bool
    csv: Path | None
    events: Path | None
    record: Path | None
    json: Path | None
    snapshots: Path
    headless: bool
    pace: Pace | None
    max_frames: int | None
    list_cameras: bool
    benchmark: bool
    source_given: bool
    stages: Literal["all", "engine"]
    batch: tuple[int, ...]
    steps: int
    chart: Path | None
    soak: int | None
    debug: bool


def parse_options(argv: Sequence[str] | None = None) -> LiveOptions:
    """Exits with 2 and one line on bad usage."""
    parser = argparse.ArgumentParser(
        prog="run_live.py",
        description="Recognise micro-expressions live: a label for every frame of a camera, a file or a stream.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--camera", type=_camera, metavar="N", help="camera number (default: 0)")
    origin.add_argument("--source", metavar="FILE|URL|demo", help="video file, network stream, or the built-in demo")
    parser.add_argument("--benchmark", action="store_true", help="measure engines and the whole program; see below")
    origin.add_argument("--list-cameras", action="store_true", help="show the cameras that can be opened, then end")
    parser.add_argument(
        "--model",
        type=Path,
        default=BUNDLED_MODEL,
        metavar="PATH",
        help="exported .onnx model (default: the bundled one)",
    )
    parser.add_argument(
        "--provider",
        choices=("auto", "cpu", "cuda", "tensorrt"),
        default="auto",
        help="what the model runs on; anything but auto fails when it is not there (default: auto, a GPU if there is one)",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "streaming", "window"),
        default="auto",
        help="a frame at a time, or the whole window at every frame; the answers are the same (default: auto, streaming)",
    )
    parser.add_argument(
        "--threads",
        type=_not_negative,
        default=0,
        metavar="N",
        help="threads of the model (default: 0, half the cores for streaming, all for window)",
    )
    parser.add_argument(
        "--max-faces",
        type=_faces,
        default=1,
        metavar="N",
        help="follow up to N faces, each with its own window and events (default: 1, the largest)",
    )
    parser.add_argument("--csv", type=Path, metavar="OUT.csv", help="write one row for every frame and face")
    parser.add_argument(
        "--events",
        type=Path,
        metavar="OUT.jsonl",
        help="write micro-expression events as they are decided, one JSON object a line; rejected ones with the reason",
    )
    parser.add_argument("--no-events", action="store_true", help="labels only: look for no events")
    parser.add_argument(
        "--json", type=Path, metavar="OUT.json", help="write counts, times and memory of the run at its end"
    )
    parser.add_argument("--record", type=Path, metavar="OUT.mp4", help="record the overlay at the source's true speed")
    parser.add_argument(
        "--snapshots",
        type=Path,
        default=Path("runs/snapshots"),
        metavar="DIR",
        help="folder for key s (default: runs/snapshots)",
    )
    parser.add_argument(
        "--headless", action="store_true", help="no window, a panel in the terminal (automatic without a display)"
    )
    parser.add_argument(
        "--pace",
        choices=("realtime", "fast"),
        help="speed of files: their own, or as fast as it goes (default: realtime in a window, fast without)",
    )
    parser.add_argument("--max-frames", type=_positive, metavar="N", help="end after N frames")
    bench = parser.add_argument_group("benchmark (with --benchmark; --source, --json, --threads and --provider apply)")
    bench.add_argument(
        "--stages",
        choices=("all", "engine"),
        default="all",
        help="engine: the engines alone, which needs neither MediaPipe nor TensorFlow nor a display (default: all)",
    )
    bench.add_argument(
        "--batch", type=_batches, default=(), metavar="N,N,…", help="also step so many independent streams together"
    )
    bench.add_argument("--steps", type=_positive, default=120, metavar="N", help="windows to measure (default: 120)")
    bench.add_argument(
        "--soak",
        type=_positive,
        metavar="N",
        help="instead: N frames of a looped clip; does memory grow, do answers drift",
    )
    bench.add_argument("--chart", type=Path, metavar="OUT.png", help="draw the result")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(argv)
    source = given.source if given.source is not None else (given.camera or 0)
    if given.source == "":
        parser.error("--source is empty: give a file, a URL, or demo")
    if given.no_events and given.events is not None:
        parser.error("--no-events leaves nothing to write to --events")
    outputs = [path.resolve() for path in (given.csv, given.events, given.record, given.json) if path is not None]
    if len(set(outputs)) < len(outputs):
        parser.error("--csv, --events, --record and --json name the same file twice")
    return LiveOptions(
        source=source,
        model=given.model,
        provider=given.provider,
        engine=given.engine,
        threads=given.threads,
        max_faces=given.max_faces,
        detect_events=not given.no_events,
        csv=given.csv,
        events=given.events,
        record=given.record,
        json=given.json,
        snapshots=given.snapshots,
        headless=given.headless,
        pace=given.pace,
        max_frames=given.max_frames,
        list_cameras=given.list_cameras,
        benchmark=given.benchmark,
        source_given=given.source is not None,
        stages=given.stages,
        batch=given.batch,
        steps=given.steps,
        chart=given.chart,
        soak=given.soak,
        debug=given.debug,
    )


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, found {text!r}") from None


def _batches(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(","))


def _not_negative(text: str) -> int:
    value = _whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, found {value}")
    return value


def _camera(text: str) -> int:
    value = _not_negative(text)
    if value > 999:
        raise argparse.ArgumentTypeError(f"expected a camera's number, see --list-cameras, found {value}")
    return value


def _faces(text: str) -> int:
    value = _positive(text)
    if value > _MAX_FACES:
        raise argparse.ArgumentTypeError(f"expected up to {_MAX_FACES} faces, found {value}")
    return value


def _positive(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {value}")
    return value

"""The command line of the live program, parsed into one frozen value."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.types import Pace
from stream.cli import (
    options_benchmark,
    options_markers,
    options_outputs,
    options_serve,
    options_session,
    options_sources,
)
from stream.cli.option_types import not_negative, positive
from stream.cli.options_markers import ExperimentOptions
from stream.cli.options_serve import ServeOptions
from stream.cli.options_session import SessionOptions
from stream.engine.model_file import BUNDLED_MODEL, EngineChoice, Provider
from stream.sources.base import LiveSettings

_EXAMPLES = """\
examples:
  python run_live.py --camera 0                      your webcam, in a window
  python run_live.py --source demo                   the built-in demo, no camera needed
  python run_live.py --source talk.mp4 --csv out.csv --headless --pace fast
                                                     a file as fast as it goes, one CSV row for every frame
  python run_live.py --source talk.mp4 --max-faces 2 --events events.jsonl
                                                     micro-expressions of two people as JSON lines: onset, apex, offset
  python run_live.py --source rtsp://host/stream --record out.mp4
  python run_live.py --camera 1 --size 1280x720 --fps 30 --wait
  python run_live.py --camera 0 --session runs/anna-1 --consent "signed form 12"
                                                     everything of one run in a folder, with report.html
  python run_live.py --camera 0 --session runs/anna-2 --record-source
  python run_live.py --replay runs/anna-2 --check    the same rows again from the pictures that were kept
  python run_live.py --benchmark --json bench.json   how fast it is on this machine

keys in the window: q or Esc quit, space pause, r reset, s snapshot, h help

Labels are what a model trained on synthetic clips makes of small facial movements. They are no lie detector, and no
judgement of a person may rest on them.
"""

_MAX_FACES = 16


@dataclass(frozen=True)
class LiveOptions:
    """What a live run is to do. `source` is a camera's index, a path, a URL or "demo"; `pace` None: by the display.

    `chosen`: which of model, engine and max_faces the command line names; a replay takes the others from its session.
    """

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
    soak_faults: float | None
    latency: float | None
    viewers: int
    session: SessionOptions
    serve: ServeOptions | None
    live: LiveSettings
    experiment: ExperimentOptions
    chosen: frozenset[str]
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
    options_session.add_sources(origin)
    parser.add_argument(
        "--model",
        type=Path,
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
        help="a frame at a time, or the whole window at every frame; the answers are the same (default: auto, streaming)",
    )
    parser.add_argument(
        "--threads",
        type=not_negative,
        default=0,
        metavar="N",
        help="threads of the model (default: 0, half the cores for streaming, all for window)",
    )
    parser.add_argument(
        "--max-faces",
        type=_faces,
        metavar="N",
        help="follow up to N faces, each with its own window and events (default: 1, the largest)",
    )
    parser.add_argument(
        "--headless", action="store_true", help="no window, a panel in the terminal (automatic without a display)"
    )
    parser.add_argument(
        "--pace",
        choices=("realtime", "fast"),
        help="speed of files: their own, or as fast as it goes (default: realtime in a window, a web view or an "
        "experiment, else fast)",
    )
    parser.add_argument("--max-frames", type=positive, metavar="N", help="end after N frames")
    options_sources.add_group(parser)
    options_outputs.add_group(parser)
    options_session.add_group(parser)
    options_serve.add_group(parser)
    options_markers.add_group(parser)
    options_benchmark.add_group(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(argv)
    source = given.source if given.source is not None else (given.camera or 0)
    if given.source == "":
        parser.error("--source is empty: give a file, a URL, or demo")
    options_outputs.check(given, parser)
    options_benchmark.check(given, parser)
    return LiveOptions(
        source=source,
        model=given.model or BUNDLED_MODEL,
        provider=given.provider,
        engine=given.engine or "auto",
        threads=given.threads,
        max_faces=given.max_faces or 1,
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
        soak_faults=given.soak_faults,
        latency=given.latency,
        viewers=given.viewers,
        session=options_session.read(given, parser),
        serve=options_serve.read(given, parser),
        live=options_sources.read(given, parser, source),
        experiment=options_markers.read(given, parser),
        chosen=frozenset(name for name in ("model", "engine", "max_faces") if getattr(given, name) is not None),
        debug=given.debug,
    )


def _camera(text: str) -> int:
    value = not_negative(text)
    if value > 999:
        raise argparse.ArgumentTypeError(f"expected a camera's number, see --list-cameras, found {value}")
    return value


def _faces(text: str) -> int:
    value = positive(text)
    if value > _MAX_FACES:
        raise argparse.ArgumentTypeError(f"expected up to {_MAX_FACES} faces, found {value}")
    return value

"""The command line of the live program, parsed into one frozen value."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.atomic import clash, lies_in
from model.decision import DEFAULT_SENSITIVITY
from model.types import Pace
from stream.cli.options_review import REVIEW, read_review_settings
from stream.cli.options_run import MODEL, OUTPUTS, SOURCES, check_faces, check_outputs, read_live_settings, read_source
from stream.cli.options_share import (
    EXPERIMENT,
    SESSIONS,
    WEB,
    check_experiment,
    read_serve_settings,
    read_session_settings,
)
from stream.cli.topics import Add, Topic, TopicParser
from stream.engine.model_file import BUNDLED_MODEL, EngineChoice, Provider
from stream.network_address import NetworkAddress
from stream.review.open_desk import ReviewSettings
from stream.session.session_folder import SessionFolder, SessionSettings
from stream.sources.base import LiveSettings
from stream.web.access import ServeSettings

_USAGE = "run_live.py [--camera N | --source FILE|FOLDER|URL|demo] [options]"
_HEAD = """\
Recognise micro-expressions live: a label and its doubt for every frame of a camera,
a file or a stream, and events with onset, apex and offset.

examples:
  python run_live.py --source demo              the built-in clip: no camera needed
  python run_live.py --camera 0                 your webcam, in a window
  python run_live.py --source talk.mp4 --headless --csv talk.csv --events talk.jsonl
  python run_live.py --camera 0 --session runs/anna-1 --consent "signed form 12"
"""
_FOOT = """\
other words, with --help: agree (how far coders agree), labels (to and from ELAN, BORIS, CSV)
keys in the window: q or Esc quit, space pause, r reset, s snapshot, h help
Labels are what a model trained on synthetic clips makes of small facial movements.
They are no lie detector, and no judgement of a person may rest on them.
"""
_BENCHMARK_LESSON = """\
Both engines, beside TensorFlow where that is installed, then the whole program on the
demo, with and without events. It takes some minutes; apply --model, --provider, --threads,
a file as --source, and --json. Engines alone, several streams at once, long runs, faults and
latency have a program of their own: python -m stream.benchmark --help

  python run_live.py --benchmark --json bench.json
"""
_BENCHMARK_TAKES = frozenset(("benchmark", "model", "provider", "threads", "source", "json", "debug"))
_BENCHMARK_MODULE = "python -m stream.benchmark"
_MOVED = {
    "--stages": "--stages engine",
    "--batch": "--batch N,N,…",
    "--steps": "--steps N",
    "--chart": "--chart OUT.png",
    "--soak": "soak --frames N",
    "--soak-faults": "faults --minutes M",
    "--latency": "latency --seconds S",
    "--viewers": "latency --viewers N",
}
_INSTEAD_OF_EACH_OTHER = ("camera", "source", "source_file", "list_cameras", "replay", "report")
_CHOSEN = ("model", "engine", "max_faces", "face", "sensitivity")


@dataclass(frozen=True)
class LiveOptions:
    """What a live run is to do. `source` is a camera's index, a path, a URL or "demo", called `label` where there is
    one; `pace` None: by the display. `fps`: the rate at which a file was filmed.

    `replay`: the session whose recording is the source in its place; `check`: compare with its rows. `report`: only make
    the report of that session; `review`: only open the desk. `marker_port`: where marks come in; `markers`: where they are kept, None for a session's
    folder or nowhere; `lsl`: the name of the streams. `sensitivity`: false events a minute. `chosen`: which of
    source, model, engine, max_faces, face and sensitivity the command line names.
    """

    source: int | str = field(repr=False)
    source_file: Path | None
    label: str | None
    model: Path
    provider: Provider
    engine: EngineChoice
    threads: int
    max_faces: int
    face_at: tuple[float, float] | None
    one_person: bool
    detect_events: bool
    sensitivity: float
    csv: Path | None
    action_units: bool
    events: Path | None
    record: Path | None
    json: Path | None
    snapshots: Path
    headless: bool
    pace: Pace | None
    max_frames: int | None
    fps: float | None
    live: LiveSettings
    session: SessionSettings | None
    replay: Path | None
    check: bool
    report: Path | None
    review: ReviewSettings | None
    serve: ServeSettings | None
    marker_port: NetworkAddress | None
    markers: Path | None
    lsl: str | None
    list_cameras: bool
    benchmark: bool
    chosen: frozenset[str]
    debug: bool

    @property
    def needs_pace(self) -> bool:
        """Whether the source's time has to run like that of an experiment."""
        return self.marker_port is not None or self.lsl is not None

    def clash(self) -> str | None:
        """One line where a file to be written is one that is read, or is written twice; None where all are apart."""
        written = {"--csv": self.csv, "--events": self.events, "--markers": self.markers, "--record": self.record}
        outputs = [(name, path) for name, path in (written | {"--json": self.json}).items() if path is not None]
        read = [("--model", self.model), ("--model", Path(os.path.splitext(self.model)[0] + ".stream.onnx"))]
        if self.source_file is not None:
            read.append(("--source-file", self.source_file))
        if self.session is not None:
            kept = SessionFolder(self.session.folder)
            outputs += [("--session", path) for path in (kept.path, *kept.parts)]
        if self.replay is not None:
            recorded = SessionFolder(self.replay)
            read += [("--replay", path) for path in (recorded.path, *recorded.parts)]
            if self.session is not None and lies_in(self.session.folder, self.replay):
                return f"--session {self.session.folder} lies in what --replay reads: give a folder outside of it"
        elif self.source == "demo":
            from stream.sources.demo import DEMO_CLIP  # brings OpenCV, which the help does without

            read.append(("--source", DEMO_CLIP))
        elif isinstance(self.source, str):
            # FFmpeg takes file: for files, too.
            read.append(("--source", Path(os.path.expanduser(self.source.removeprefix("file:")))))
        return clash(outputs, read)


def parse_options(argv: Sequence[str] | None = None) -> LiveOptions:
    """Exits with 2 and one line on bad usage."""
    parser = _new_parser()
    given = parser.parse_args(argv)
    _check_what_is_asked(given, parser)
    check_faces(given, parser)
    check_outputs(given, parser)
    check_experiment(given, parser)
    named = read_source(given, parser)
    source = 0 if named is None else named
    options = LiveOptions(
        source=source,
        source_file=given.source_file,
        label=given.label,
        model=given.model or BUNDLED_MODEL,
        provider=given.provider,
        engine=given.engine or "auto",
        threads=given.threads,
        max_faces=given.max_faces or 1,
        face_at=given.face,
        one_person=given.one_person,
        detect_events=not given.no_events,
        sensitivity=given.sensitivity or DEFAULT_SENSITIVITY,
        csv=given.csv,
        action_units=given.action_units,
        events=given.events,
        record=given.record,
        json=given.json,
        snapshots=given.snapshots,
        headless=given.headless,
        pace=given.pace,
        max_frames=given.max_frames,
        fps=None if isinstance(source, int) else given.fps,
        live=read_live_settings(given, parser, source),
        session=read_session_settings(given, parser),
        replay=given.replay,
        check=given.check,
        report=given.report,
        review=read_review_settings(given, parser),
        serve=read_serve_settings(given, parser),
        marker_port=given.marker_port,
        markers=given.markers,
        lsl=given.lsl,
        list_cameras=given.list_cameras,
        benchmark=given.benchmark,
        chosen=frozenset(
            name
            for name, value in (("source", named), *((name, getattr(given, name)) for name in _CHOSEN))
            if value is not None
        ),
        debug=given.debug,
    )
    if (said := options.clash()) is not None:
        parser.error(said)
    return options


def _new_parser() -> TopicParser:
    benchmark = Topic("benchmark", "how fast it is on this machine", _add_benchmark, _BENCHMARK_LESSON)
    topics = (SOURCES, MODEL, OUTPUTS, SESSIONS, REVIEW, WEB, EXPERIMENT, benchmark)
    parser = TopicParser("run_live.py", _USAGE, topics, _HEAD, _FOOT)
    for flag in _MOVED:
        parser.add_argument(flag, nargs="?", action=_SaysWhereItWent, dest=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _add_benchmark(add: Add) -> None:
    add("--benchmark", "measure engines and the whole program", common=True, action="store_true")


class _SaysWhereItWent(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        flag = self.option_strings[0]
        parser.error(f"{flag} has moved to the benchmark's own program: {_BENCHMARK_MODULE} {_MOVED[flag]}")


def _check_what_is_asked(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    chosen = [name for name, value in vars(given).items() if value != parser.get_default(name)]
    if given.benchmark:
        for name in chosen:
            if name not in _BENCHMARK_TAKES:
                parser.error(f"{_flag(name)} does not go with --benchmark; see --help benchmark")
        if given.source is not None and "://" in given.source:
            parser.error("--benchmark takes a file as --source")
    origins = [name for name in _INSTEAD_OF_EACH_OTHER if name in chosen]
    if len(origins) > 1:
        parser.error(f"argument {_flag(origins[1])}: not allowed with argument {_flag(origins[0])}")
    if given.source == "":
        parser.error("--source is empty: give a file, a URL, or demo")
    if given.fps is not None and given.replay is not None:
        parser.error("--fps is not for --replay: a session has its own times")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"

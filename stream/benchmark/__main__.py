"""`python -m stream.benchmark`: how fast the program is, how late an answer, and does it last?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from model.atomic import clash
from model.quiet import hold_standard_streams
from stream.benchmark.command import (
    BenchmarkSettings,
    SpeedSettings,
    run_faults,
    run_fleet_faults,
    run_fleet_files,
    run_latency,
    run_soak,
    run_speed,
)
from stream.cli.errors import exit_code
from stream.cli.option_types import not_negative, positive, positive_number, several_positive
from stream.engine.model_file import BUNDLED_MODEL, EngineChoice, Provider

_PROG = "python -m stream.benchmark"
_MOST_VIEWERS = 15
"""With the one that stalls, as many as the web view takes."""
_LEAST_SOAK_FRAMES = 10_000
_FILES = (("json", "chart"), ("model", "source"))
"""Options that name files to be written, and to be read."""
_COMMON: dict[str, dict[str, Any]] = {
    "model": {
        "type": Path, "default": BUNDLED_MODEL, "metavar": "PATH",
        "help": "an exported model.onnx (default: the bundled one)",
    },
    "provider": {
        "choices": get_args(Provider), "default": "auto",
        "help": "what the model runs on (default: auto)",
    },
    "threads": {
        "type": not_negative, "default": 0, "metavar": "N",
        "help": "threads of the model (default: 0, the usual number)",
    },
    "engine": {
        "choices": get_args(EngineChoice), "default": "auto",
        "help": "a frame at a time, or the whole window (default: auto, streaming)",
    },
    "source": {"metavar": "FILE", "help": "a video file (default: the built-in demo as one)"},
    "json": {"type": Path, "metavar": "OUT.json", "help": "also write everything measured to this file"},
}  # fmt: skip

_EPILOG = """\
Without a command: speed, with its options.

examples:
  python -m stream.benchmark                                  engines, then the whole program on the demo
  python -m stream.benchmark --stages engine --provider cuda --batch 1,8,64 --json gpu.json
  python -m stream.benchmark soak --frames 100000 --json soak.json
  python -m stream.benchmark faults --minutes 30 --json faults.json
  python -m stream.benchmark fleet --minutes 10 --json fleet.json
  python -m stream.benchmark fleet-files --files 1000 --json files.json
  python -m stream.benchmark latency --seconds 60 --viewers 3 --json latency.json

For numbers worth keeping, let nothing else run on the machine.
"""
_SPEED = """\
Both engines side by side, ten steps of each in turn, beside TensorFlow where that is installed; several streams stepped
in one call; the stages of the program one after the other; then the whole program on a file as a process of its own, with each engine, and with and without events,
and beside it what could be had instead: the package fer on the same file, where it is installed.
"""
_SOAK = """\
A clip over and over through the live pipeline: does memory grow, and is the last answer that of a fresh engine?
"""
_FAULTS = """\
The whole program on a camera of the benchmark's own that fails every 20 s: connections closed, silence, pictures cut
or garbled or growing, a terminal that nobody reads, times that jump, …; what is lost, and how soon is the program back? It fails when a row is lost or torn.
"""
_LATENCY = """\
How late is an answer, from the camera to the label? Measured on a camera of the benchmark's own, by numbers drawn into
its pictures.
"""
_FLEET = """\
microlive-fleet on cameras of the benchmark's own, of which one is switched off, or a worker killed, every 20 s. It fails when a
row is lost or torn, when something is not back within 5 s, or when a process is left at the end.
"""
_FLEET_FILES = """\
microlive-fleet on short clips of the demo's face, by processes and on a local Ray cluster, each also killed in the middle and
started again. It fails when the tables are not the same.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 well measured, 1 failed (one line on the error stream), 2 wrong usage, 130 after Ctrl-C."""
    hold_standard_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _new_parser()
    if not words or words[0] not in (*commands, "-h", "--help"):
        words.insert(0, "speed")
    given = parser.parse_args(words)
    told = {name: Path(path) for name in ("json", "chart", "model", "source") if (path := getattr(given, name, None))}
    written, read = ([(f"--{name}", told[name]) for name in names if name in told] for names in _FILES)
    if (said := clash(written, read)) is not None:
        parser.error(said)
    return exit_code(lambda _: given.run(given), given.debug, interrupted=130)


def _new_parser() -> tuple[argparse.ArgumentParser, Sequence[str]]:
    """The parser, and the names of its commands."""
    parser = argparse.ArgumentParser(
        prog=_PROG,
        usage=f"{_PROG} [COMMAND] [options]",
        description="Measure the live program on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands (each has a --help)", metavar="COMMAND", prog=_PROG, required=True)
    _add_speed(commands)
    _add_soak(commands)
    _add_faults(commands)
    _add_latency(commands)
    _add_fleet(commands)
    return parser, tuple(commands.choices)


def _add_speed(commands: Any) -> None:
    command = _new_command(commands, "speed", "engines and the whole program", _SPEED)
    _add_common(command, "model", "provider", "threads", "source", "json")
    command.add_argument(
        "--stages",
        choices=("all", "engine"),
        default="all",
        help="engine: the engines alone, which needs numpy, psutil and ONNX Runtime only (default: all)",
    )
    command.add_argument("--steps", type=positive, default=120, metavar="N", help="windows to measure (default: 120)")
    command.add_argument(
        "--batch",
        type=several_positive,
        default=SpeedSettings.batch,
        metavar="N,N,…",
        help=f"streams stepped together (default: {','.join(map(str, SpeedSettings.batch))})",
    )
    command.add_argument("--chart", type=Path, metavar="OUT.png", help="draw the result")
    command.add_argument(
        "--fer",
        type=Path,
        metavar="DIR",
        help="compare with the package fer, installed into this folder (see requirements-bench.txt)",
    )
    command.add_argument(
        "--beside",
        type=_checkout,
        metavar="DIR",
        help="the folder of another version of this program (git worktree add DIR v0.2.0): its stages in turns with these",
    )

    def run(given: argparse.Namespace) -> int:
        speed = SpeedSettings(given.stages, given.steps, given.batch, given.chart, given.fer, given.beside)
        return run_speed(_settings(given), speed)

    command.set_defaults(run=run)


def _add_soak(commands: Any) -> None:
    command = _new_command(commands, "soak", "a long run: memory and drift", _SOAK)
    command.add_argument(
        "--frames", type=_soak_frames, default=100_000, metavar="N", help="10000 or more (default: 100000)"
    )
    _add_common(command, "model", "provider", "threads", "engine", "source", "json")
    command.set_defaults(run=lambda given: run_soak(_settings(given), given.frames))


def _add_faults(commands: Any) -> None:
    command = _new_command(commands, "faults", "streaming from a camera that fails", _FAULTS)
    command.add_argument("--minutes", type=positive_number, default=30.0, metavar="M", help="(default: 30)")
    _add_common(command, "model", "provider", "json")
    command.set_defaults(run=lambda given: run_faults(_settings(given), given.minutes))


def _add_latency(commands: Any) -> None:
    command = _new_command(commands, "latency", "from the camera to the label", _LATENCY)
    command.add_argument("--seconds", type=positive_number, default=60.0, metavar="S", help="(default: 60)")
    command.add_argument(
        "--viewers",
        type=_viewers,
        default=0,
        metavar="N",
        help=f"measure again with N viewers of the web view, up to {_MOST_VIEWERS}, and one that never reads",
    )
    _add_common(command, "model", "provider", "threads", "engine", "json")
    command.set_defaults(run=lambda given: run_latency(_settings(given), given.seconds, given.viewers))


def _add_fleet(commands: Any) -> None:
    command = _new_command(commands, "fleet", "many cameras while cameras and workers are killed", _FLEET)
    command.add_argument("--minutes", type=positive_number, default=10.0, metavar="M", help="(default: 10)")
    command.add_argument("--cameras", type=positive, default=12, metavar="N", help="(default: 12)")
    command.add_argument("--jobs", type=positive, metavar="N", help="workers (default: the fleet's own)")
    _add_common(command, "json")
    command.set_defaults(run=lambda given: run_fleet_faults(_settings(given), given.minutes, given.cameras, given.jobs))
    command = _new_command(
        commands, "fleet-files", "many short files: the same tables, whoever makes them?", _FLEET_FILES
    )
    command.add_argument("--files", type=positive, default=1000, metavar="N", help="(default: 1000)")
    command.add_argument("--frames", type=positive, default=15, metavar="N", help="of each (default: 15)")
    command.add_argument("--jobs", type=positive, default=2, metavar="N", help="workers (default: 2)")
    _add_common(command, "json")
    command.set_defaults(run=lambda given: run_fleet_files(_settings(given), given.files, given.frames, given.jobs))


def _new_command(commands: Any, name: str, gist: str, about: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, usage=f"{_PROG} {name} [options]", help=gist, description=about
    )
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return command


def _add_common(command: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        command.add_argument(f"--{name}", **_COMMON[name])


def _settings(given: argparse.Namespace) -> BenchmarkSettings:
    """Of a command that may not have all the options."""
    return BenchmarkSettings(**{name: getattr(given, name) for name in _COMMON if hasattr(given, name)})


def _checkout(text: str) -> Path:
    path = Path(text)
    if not (path / "stream" / "stages.py").is_file():
        raise argparse.ArgumentTypeError(f"{text}: expected the folder of another version of this program")
    return path


def _soak_frames(text: str) -> int:
    value = positive(text)
    if value < _LEAST_SOAK_FRAMES:
        raise argparse.ArgumentTypeError(f"expected {_LEAST_SOAK_FRAMES} or more, found {value}")
    return value


def _viewers(text: str) -> int:
    value = not_negative(text)
    if value > _MOST_VIEWERS:
        raise argparse.ArgumentTypeError(f"expected up to {_MOST_VIEWERS}, found {value}")
    return value


if __name__ == "__main__":
    sys.exit(main())

"""`python -m stream.benchmark`: how fast the program is, how late an answer, and does it last?"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stream.benchmark.command import (
    BenchmarkSettings,
    SpeedSettings,
    run_faults,
    run_latency,
    run_soak,
    run_speed,
)
from stream.cli.errors import exit_code
from stream.cli.option_types import not_negative, positive, positive_number, several_positive
from stream.engine.model_file import BUNDLED_MODEL

_MOST_VIEWERS = 15
"""With the one that stalls, as many as the web view takes."""
_LEAST_SOAK_FRAMES = 10_000
_COMMON: dict[str, dict[str, Any]] = {
    "--model": {
        "type": Path, "default": BUNDLED_MODEL, "metavar": "PATH",
        "help": "an exported model.onnx (default: the bundled one)",
    },
    "--provider": {
        "choices": ("auto", "cpu", "cuda", "tensorrt"), "default": "auto",
        "help": "what the model runs on (default: auto)",
    },
    "--threads": {
        "type": not_negative, "default": 0, "metavar": "N",
        "help": "threads of the model (default: 0, the usual number)",
    },
    "--engine": {
        "choices": ("auto", "streaming", "window"), "default": "auto",
        "help": "a frame at a time, or the whole window (default: auto, streaming)",
    },
    "--source": {"metavar": "FILE", "help": "a video file (default: the built-in demo as one)"},
    "--json": {"type": Path, "metavar": "OUT.json", "help": "also write everything measured to this file"},
}  # fmt: skip

_EPILOG = """\
Without a command: speed, with its options.

examples:
  python -m stream.benchmark                                  engines, then the whole program on the demo
  python -m stream.benchmark --stages engine --provider cuda --batch 1,8,64 --json gpu.json
  python -m stream.benchmark soak --frames 100000 --json soak.json
  python -m stream.benchmark faults --minutes 30 --json faults.json
  python -m stream.benchmark latency --seconds 60 --viewers 3 --json latency.json

For numbers worth keeping, let nothing else run on the machine.
"""
_SPEED = """\
Both engines side by side, one step of each in turn, beside TensorFlow where that is installed; then the whole
program on a file as a process of its own, with each engine, and with and without events.
"""
_SOAK = """\
A clip over and over through the live pipeline: does memory grow, and is the last answer that of a fresh engine?
"""
_FAULTS = """\
The whole program on a camera of the benchmark's own that fails every 20 s: connections closed, silence, pictures cut
or garbled, …; what is lost, and how soon is the program back? It fails when a row is lost or torn.
"""
_LATENCY = """\
How late is an answer, from the camera to the label? Measured on a camera of the benchmark's own, by numbers drawn into
its pictures.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 well measured, 1 failed (one line on the error stream), 2 wrong usage, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _new_parser()
    if not words or words[0] not in (*commands, "-h", "--help"):
        words.insert(0, "speed")
    given = parser.parse_args(words)
    return exit_code(lambda: given.run(given), given.debug, interrupted=130)


def _new_parser() -> tuple[argparse.ArgumentParser, Sequence[str]]:
    """The parser, and the names of its commands."""
    parser = argparse.ArgumentParser(
        prog="python -m stream.benchmark",
        description="Measure the live program on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands (each has a --help)", metavar="COMMAND", required=True)

    def add_command(name: str, gist: str, about: str, run: Callable[[argparse.Namespace], int], flags: str) -> Any:
        command = commands.add_parser(
            name, help=gist, description=about, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.set_defaults(run=run)
        for flag in flags.split():
            command.add_argument(flag, **_COMMON[flag])
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        return command

    speed = add_command(
        "speed", "engines and the whole program", _SPEED, _speed, "--model --provider --threads --source --json"
    )
    speed.add_argument(
        "--stages",
        choices=("all", "engine"),
        default="all",
        help="engine: the engines alone, which needs numpy, psutil and ONNX Runtime only (default: all)",
    )
    speed.add_argument("--steps", type=positive, default=120, metavar="N", help="windows to measure (default: 120)")
    speed.add_argument(
        "--batch",
        type=several_positive,
        default=(),
        metavar="N,N,…",
        help="also step so many independent streams together",
    )
    speed.add_argument("--chart", type=Path, metavar="OUT.png", help="draw the result")
    soak = add_command(
        "soak",
        "a long run: memory and drift",
        _SOAK,
        lambda given: run_soak(_settings(given), given.frames),
        "--model --provider --threads --engine --source --json",
    )
    soak.add_argument(
        "--frames",
        type=_soak_frames,
        default=100_000,
        metavar="N",
        help=f"{_LEAST_SOAK_FRAMES} or more (default: 100000, about ten minutes)",
    )
    faults = add_command(
        "faults",
        "streaming from a camera that fails",
        _FAULTS,
        lambda given: run_faults(_settings(given), given.minutes),
        "--model --provider --json",
    )
    faults.add_argument("--minutes", type=positive_number, default=30.0, metavar="M", help="(default: 30)")
    latency = add_command(
        "latency",
        "from the camera to the label",
        _LATENCY,
        lambda given: run_latency(_settings(given), given.seconds, given.viewers),
        "--model --provider --threads --engine --json",
    )
    latency.add_argument("--seconds", type=positive_number, default=60.0, metavar="S", help="(default: 60)")
    latency.add_argument(
        "--viewers",
        type=_viewers,
        default=0,
        metavar="N",
        help=f"measure again with N viewers of the web view, up to {_MOST_VIEWERS}, and one that never reads",
    )
    return parser, tuple(commands.choices)


def _settings(given: argparse.Namespace) -> BenchmarkSettings:
    """Of a command that may not have all the options."""
    fields = (flag.removeprefix("--") for flag in _COMMON)
    return BenchmarkSettings(**{name: getattr(given, name) for name in fields if hasattr(given, name)})


def _speed(given: argparse.Namespace) -> int:
    return run_speed(_settings(given), SpeedSettings(given.stages, given.steps, given.batch, given.chart))


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

"""The options of --benchmark."""

import argparse
from pathlib import Path

from stream.cli.option_types import not_negative_number, positive, several_positive

_MEASURES = ("batch", "soak", "soak_faults", "latency", "viewers", "chart", "stages", "steps")
_MOST_VIEWERS = 15
"""With the one that stalls, as many as the web view takes."""


def add_group(parser: argparse.ArgumentParser) -> None:
    bench = parser.add_argument_group("benchmark (with --benchmark; --source, --json, --threads and --provider apply)")
    bench.add_argument(
        "--stages",
        choices=("all", "engine"),
        default="all",
        help="engine: the engines alone, which needs neither MediaPipe nor TensorFlow nor a display (default: all)",
    )
    bench.add_argument(
        "--batch",
        type=several_positive,
        default=(),
        metavar="N,N,…",
        help="also step so many independent streams together",
    )
    bench.add_argument("--steps", type=positive, default=120, metavar="N", help="windows to measure (default: 120)")
    bench.add_argument(
        "--soak",
        type=positive,
        metavar="N",
        help="instead: N frames of a looped clip; does memory grow, do answers drift",
    )
    bench.add_argument(
        "--soak-faults",
        type=not_negative_number,
        metavar="MINUTES",
        help="instead: stream from a local camera that fails every 20 s; what is lost, how soon is the program back",
    )
    bench.add_argument(
        "--latency",
        type=not_negative_number,
        metavar="SECONDS",
        help="instead: how late an answer is, from the camera to the label, by numbers drawn into the pictures",
    )
    bench.add_argument(
        "--viewers",
        type=positive,
        default=0,
        metavar="N",
        help="with --latency: measure again with N viewers of the web view and one that never reads",
    )
    bench.add_argument("--chart", type=Path, metavar="OUT.png", help="draw the result")


def check(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Ends with a usage error where an option would do nothing."""
    for name in _MEASURES:
        if not given.benchmark and getattr(given, name) != parser.get_default(name):
            parser.error(f"--{name.replace('_', '-')} needs --benchmark")
    if given.viewers and given.latency is None:
        parser.error("--viewers needs --latency SECONDS")
    if given.viewers > _MOST_VIEWERS:
        parser.error(f"--viewers: expected up to {_MOST_VIEWERS}, found {given.viewers}")

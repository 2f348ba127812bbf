"""The options that say what a run writes."""

import argparse
from pathlib import Path

_FILES = ("csv", "events", "markers", "record", "json")


def add_group(parser: argparse.ArgumentParser) -> None:
    outputs = parser.add_argument_group("outputs")
    outputs.add_argument("--csv", type=Path, metavar="OUT.csv", help="write one row for every frame and face")
    outputs.add_argument(
        "--events",
        type=Path,
        metavar="OUT.jsonl",
        help="write micro-expression events as they are decided, one JSON object a line; rejected ones with the reason",
    )
    outputs.add_argument("--no-events", action="store_true", help="labels only: look for no events")
    outputs.add_argument(
        "--json", type=Path, metavar="OUT.json", help="write counts, times and memory of the run at its end"
    )
    outputs.add_argument("--record", type=Path, metavar="OUT.mp4", help="record the overlay at the source's true speed")
    outputs.add_argument(
        "--snapshots",
        type=Path,
        default=Path("runs/snapshots"),
        metavar="DIR",
        help="folder for key s (default: runs/snapshots)",
    )


def check(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Ends with a usage error where options do not go together."""
    if given.no_events and given.events is not None:
        parser.error("--no-events leaves nothing to write to --events")
    paths = [path.resolve() for name in _FILES if (path := getattr(given, name)) is not None]
    if len(set(paths)) < len(paths):
        parser.error("--csv, --events, --markers, --record and --json name the same file twice")

"""`run_live.py labels export` and `labels import`: a coder's labels to and from ELAN, BORIS and tables."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from model.atomic import clash
from model.signals import EndSignals
from stream.cli.errors import exit_code
from stream.cli.topics import CleanParser
from stream.screen.terminal import Screen

if TYPE_CHECKING:
    from stream.labels.reviewable import Reviewable

_DESCRIPTION = """\
Labels to and from other tools. The ending of the file says the format:

  .eaf   ELAN: a tier for every class, action unit and coder (negative@anna, AU12L@anna), the apex
         as one frame in apex@anna, notes and rejected events in tiers of their own
  .tsv   BORIS, aggregated events: classes and action units as states, the apex as a point;
         its tabular events are read too
  .csv   a row for every event: event, coder, track, kind, label, onset_s, apex_s, offset_s,
         action_units (4+L12), verdict, note. Read are label, onset_s and offset_s at least

What a coder accepted and rejected is exported, what is not decided is not. The program's own events
are those of the coder called program.
"""
_EXAMPLES = """\
examples:
  run_live.py labels export runs/anna-1 --coder anna --to anna.eaf
  run_live.py labels export talk.mp4 --coder program --to talk.csv
  run_live.py labels import anna.eaf runs/anna-1 --coder anna2
  run_live.py labels import study.eaf talk.mp4 --coder ben --from rater1
"""


def main(argv: Sequence[str]) -> int:
    """The exit code: 0, 1 where something cannot be read or written, 2 for wrong usage."""
    given = _parse(argv)

    def run(signals: EndSignals) -> int:
        with closing(Screen()) as screen:
            return _export(given, screen) if given.word == "export" else _import(given, screen)

    return exit_code(run, given.debug, interrupted=130)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    how = {"description": _DESCRIPTION, "epilog": _EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = CleanParser(prog="run_live.py labels", usage="run_live.py labels export|import …", **how)
    kinds = parser.add_subparsers(dest="word", required=True, metavar="export|import")
    out = kinds.add_parser(
        "export", help="write a coder's labels", usage="run_live.py labels export SESSION --coder NAME --to FILE", **how
    )
    out.add_argument("session", type=Path, metavar="SESSION", help="a session, or a video with its events")
    out.add_argument(
        "--coder", required=True, metavar="NAME", help="whose labels; program for the program's own events"
    )
    out.add_argument("--to", required=True, type=Path, metavar="FILE", help="what to write")
    inward = kinds.add_parser(
        "import",
        help="read labels and keep them as a coder's",
        usage="run_live.py labels import FILE SESSION --coder NAME",
        **how,
    )
    inward.add_argument("file", type=Path, metavar="FILE", help="what to read")
    inward.add_argument("session", type=Path, metavar="SESSION", help="a session, or a video with its events")
    inward.add_argument(
        "--coder", required=True, metavar="NAME", help="the coder whose they become; has none there yet"
    )
    inward.add_argument("--from", dest="whose", metavar="NAME", help="of several coders in the file this one")
    for one in (out, inward):
        one.add_argument(
            "--events",
            type=Path,
            metavar="FILE",
            help="the events of the video (default: VIDEO.events.jsonl beside it)",
        )
        one.add_argument("--debug", action="store_true", help="errors with their traceback")
    given = parser.parse_args(argv)
    if given.word == "export" and (said := clash([("--to", given.to)], [("SESSION", given.session)])) is not None:
        parser.error(said)
    return given


def _export(given: argparse.Namespace, console: Console) -> int:
    from stream.labels.exchange import write_labels

    write_labels(_reviewable(given), given.coder, given.to)
    console.print(f"Written: {given.to}", soft_wrap=True, markup=False)
    return 0


def _import(given: argparse.Namespace, console: Console) -> int:
    from stream.labels.exchange import take_in

    reviewable = _reviewable(given)
    taken = take_in(reviewable, given.file, given.coder, given.whose)
    console.print(
        f"{taken} events of {given.file} are labels of {given.coder}: {reviewable.labels_of(given.coder)}",
        soft_wrap=True,
        markup=False,
    )
    return 0


def _reviewable(given: argparse.Namespace) -> "Reviewable":
    from stream.labels.label_log import LabelError
    from stream.labels.reviewable import find_reviewables

    found = find_reviewables([given.session], given.events)
    if len(found) != 1:
        raise LabelError(f"{given.session} holds {len(found)} sessions: labels of one are asked for, name it")
    return found[0]

"""`run_live.py agree`: how far coders agree with each other and with the program, as a table, as JSON and as a page."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from model.atomic import clash
from model.signals import EndSignals
from stream.cli.errors import exit_code
from stream.cli.option_types import overlap, words
from stream.cli.topics import CleanParser
from stream.screen.terminal import Screen
from stream.sinks.base import write_json

if TYPE_CHECKING:
    from stream.labels.agreement_report import AgreementReport

_DESCRIPTION = """\
How far coders agree with each other and with the program. Accepted events count: what a coder
rejected, or has not decided on, is no event of that coder.

  F1             events of one match those of the other with an intersection over union (IoU)
                 of 0.5 or more, one to one; 2 · matched / (all of the one + all of the other)
  onset, …       how much later the second coder's is, in the mean; how far apart in the median
  class κ        Cohen's kappa on the classes of what both see; Fleiss' for three people or more
  FACS index     2 · units of both / (units of the one + units of the other)
  AU κ           Cohen's kappa on when an action unit acts, where half a second or less does not
                 count as apart: exact, 1/6, 1/3 and 1/2 s
"""
_EXAMPLES = """\
examples:
  run_live.py agree runs/anna-1                        everybody who has labelled the session
  run_live.py agree runs                               all sessions of a folder, added up
  run_live.py agree runs --coders anna,ben --json agreement.json
  run_live.py agree runs --page agreement.html         the disagreements, to step through by keys
  run_live.py agree --against annotations.eaf talk.mp4      a video that was coded elsewhere

A video needs its events in talk.events.jsonl beside it, or --events FILE. They are made with
  run_live.py --source talk.mp4 --headless --pace fast --events talk.events.jsonl
"""


@dataclass(frozen=True)
class AgreeOptions:
    """What is asked: `coders` none: all there are."""

    paths: tuple[Path, ...]
    against: Path | None
    events: Path | None
    coders: tuple[str, ...]
    min_iou: float
    json: Path | None
    page: Path | None
    debug: bool


def main(argv: Sequence[str]) -> int:
    """The exit code: 0, 1 where something cannot be read or written, 2 for wrong usage."""
    options = _parse(argv)

    def run(signals: EndSignals) -> int:
        with closing(Screen()) as screen:
            return _run(options, screen)

    return exit_code(run, options.debug, interrupted=130)


def _parse(argv: Sequence[str]) -> AgreeOptions:
    parser = CleanParser(
        prog="run_live.py agree",
        usage="run_live.py agree SESSION… [--against FILE] [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="SESSION",
        help="a session, a folder of sessions, or a video with its events",
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="labels from elsewhere: .eaf of ELAN, .tsv of BORIS, or .csv"
    )
    parser.add_argument(
        "--events", type=Path, metavar="FILE", help="the events of the video (default: VIDEO.events.jsonl beside it)"
    )
    parser.add_argument(
        "--coders", type=words, default=(), metavar="A,B", help="only these; the program is called program"
    )
    parser.add_argument(
        "--iou", type=overlap, default=0.5, metavar="X", help="the least overlap of a match (default: 0.5)"
    )
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="write all numbers, for scripts")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="OUT.html",
        help="write a page with the disagreements; of sessions it has pictures of faces",
    )
    parser.add_argument("--debug", action="store_true", help="errors with their traceback")
    given = parser.parse_args(argv)
    outputs = [(flag, path) for flag, path in (("--json", given.json), ("--page", given.page)) if path is not None]
    inputs = [("SESSION", path) for path in given.paths]
    inputs += [
        (flag, path) for flag, path in (("--against", given.against), ("--events", given.events)) if path is not None
    ]
    if (said := clash(outputs, inputs)) is not None:
        parser.error(said)
    return AgreeOptions(
        tuple(given.paths), given.against, given.events, given.coders, given.iou, given.json, given.page, given.debug
    )


def _run(options: AgreeOptions, console: Console) -> int:
    from stream.labels.agreement_page import write_agreement_page
    from stream.labels.agreement_report import gather, report_agreement
    from stream.labels.reviewable import find_reviewables

    with console.status("Comparing"):
        recordings = gather(find_reviewables(options.paths, options.events), options.against)
        report = report_agreement(recordings, options.coders, options.min_iou)
    _show(report, console)
    if options.json is not None:
        write_json(options.json, report.to_dict())
    if options.page is not None:
        write_agreement_page(report, options.page)
        console.print(f"Written: {options.page}", soft_wrap=True, markup=False)
    return 0


def _show(report: "AgreementReport", console: Console) -> None:
    from stream.labels.agreement import MOMENTS
    from stream.labels.agreement_page import difference_words, number, tolerance_words
    from stream.labels.unit_agreement import facs_index

    count = len(report.recordings)
    of = report.recordings[0].name if count == 1 else f"{count} recordings"
    events = _table(f"Agreement, {of}", "coders", "both see", "only 1st", "only 2nd", "F1", "class κ (n)", "FACS index")
    times = _table("Second coder's times less the first one's", "coders", *MOMENTS)
    units = _table("Action units: κ, with a tolerance in time", "coders", "unit", "events", *tolerance_words())
    for pair in report.pairs:
        name, seen, kappa = " – ".join(pair.coders), pair.events, pair.events.class_kappa()
        counts = map(str, (len(seen.pairs), seen.only_first, seen.only_second))
        kappa_words = f"{number(kappa.value)} ({kappa.n})"
        events.add_row(name, *counts, number(seen.f1), kappa_words, number(facs_index(seen.pairs)))
        times.add_row(name, *(difference_words(pair, moment) for moment in MOMENTS))
        for place, unit in enumerate(pair.units):
            counts = "{} / {}".format(*unit.events)
            units.add_row("" if place else name, f"AU{unit.unit}", counts, *map(number, unit.kappas))
    for table in (events, times, units) if units.row_count else (events, times):
        console.print(table)
    if report.fleiss is not None:
        seen_by_all = f"{report.fleiss.n} events that all of them see"
        console.print(
            f"Fleiss' κ of the people's classes: {number(report.fleiss.value)} ({seen_by_all})", highlight=False
        )
    for notice in report.notices():
        console.print(notice, style="yellow", markup=False, highlight=False)


def _table(title: str, *columns: str) -> Table:
    """The first column is text, the others are numbers."""
    table = Table(title=title, title_justify="left", box=None)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    return table

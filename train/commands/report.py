"""`python -m train report`: a page about a leave-one-subject-out run, an ablation, or a run over long videos."""

import argparse
import os
import sys
import webbrowser
from pathlib import Path
from typing import Any

from rich.markup import escape

from model.console import CleanConsole
from train.errors import UsageError

_EPILOG = """examples:
  python -m train report runs/loso                                the page and its pictures in runs/loso/report
  python -m train report runs/weighted --against runs/plain       both runs' scores, their losses over each other
  python -m train report runs/ablation                            all rows of an ablation
  python -m train report runs/loso --mistakes 0 --out public      without pictures of people
  python -m train report runs/casme2-long                         timelines, false and missed events of `train spot-score`

The page is one file that needs nothing else, not even a network. A run that is not finished is reported as far as it
is. Pictures of misclassified clips come from the clip stores that the run was made of, those of false and missed events
from the recorded videos; they show people, so mind what the datasets' licence agreements say before you pass the page on."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "report",
        help="a page about a leave-one-subject-out run, or one over long videos",
        description="Make one HTML page about a run, and its pictures as PNG.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path", type=Path, metavar="RUN", help="folder of `train loso`, `train ablate` or `train spot-score`"
    )
    parser.add_argument("--against", type=Path, metavar="RUN2", help="another run to compare with")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the page and its pictures (RUN/report)")
    parser.add_argument(
        "--mistakes",
        type=int,
        default=24,
        metavar="N",
        help="misclassified clips, or false and missed events, to show with pictures (%(default)s)",
    )
    parser.add_argument(
        "--open",
        choices=("auto", "yes", "no"),
        default="auto",
        help="open the page in a browser (auto: when started from a terminal on a desktop)",
    )
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    from train.report.page import write_report  # draws with matplotlib, which takes a second to load

    if args.mistakes < 0:
        raise UsageError(f"--mistakes: expected 0 or more, found {args.mistakes}")
    console = CleanConsole(stderr=True)
    with console.status("drawing the report"):
        report = write_report(args.path, args.out or args.path / "report", args.against, args.mistakes)
    for notice in report.notices:
        console.print(f"[yellow]{escape(notice)}[/]", highlight=False, soft_wrap=True)
    console.print(
        f"{escape(str(report.page))}: {report.page.stat().st_size / 1e6:.1f} MB, with {len(report.pictures)} pictures beside it",
        highlight=False,
        soft_wrap=True,
    )
    if args.open == "yes" or (args.open == "auto" and _on_a_desktop()):
        webbrowser.open(report.page.resolve().as_uri())
    return 0


def _on_a_desktop() -> bool:
    """Whether somebody sits there who would see a browser window."""
    shown = sys.platform in ("win32", "darwin") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return sys.stdout.isatty() and shown

"""The coder's desk: a topic of the command line."""

import argparse

from stream.cli.option_types import coder_name
from stream.cli.options_share import read_serve_settings
from stream.cli.topics import Add, Topic
from stream.review.open_desk import ReviewSettings

_TAKES = frozenset(("review", "coder", "blind", "open", "serve", "serve_token", "serve_token_file", "debug"))
_LESSON = """\
A page to look through what a run found, candidates that did not count among them, and to
correct it: accept, reject, class, action units with their side, onset, apex and offset, and
what was missed. For every event the aligned face and the picture in a loop, motion as arrows
and magnified. All of it works by keys: ? on the page shows them. Every action is a line in
labels-NAME.jsonl beside the events, on the disk before the page says so; what was recorded
never changes. A video needs its events beside it, as VIDEO.events.jsonl. Pictures of a
session need --record-source. The made example is copied to microlive-demo/ first.

  python run_live.py --review demo --open
  python run_live.py --review runs/anna-2 --coder ben
  python run_live.py --review runs/ --coder eva --blind
  python run_live.py --source talk.mp4 --headless --sensitivity 5 --events talk.events.jsonl
  python run_live.py --review talk.mp4 --coder ben --serve 8080
"""


def _add_review(add: Add) -> None:
    add(
        "--review",
        "look through what was found, and correct it",
        "Sessions, folders of sessions, videos with their events, or the made example",
        common=True,
        nargs="+",
        metavar="RUN",
    )
    add("--coder", "who is coding (default: your login name)", type=coder_name, metavar="NAME")
    add(
        "--blind",
        "tell the coder nothing that the program or other coders make of an event",
        "When something may have happened is told, but neither class, verdict, probability nor action units",
        action="store_true",
    )
    add("--open", "open the page in your browser", action="store_true")


REVIEW = Topic("review", "the coder's desk: look through, correct, export", _add_review, _LESSON)


def read_review_settings(given: argparse.Namespace, parser: argparse.ArgumentParser) -> ReviewSettings | None:
    """None without --review. Ends with a usage error where options do not go together."""
    if given.review is None:
        for name in ("coder", "blind", "open"):
            if getattr(given, name):
                parser.error(f"--{name} needs --review")
        return None
    for name, value in vars(given).items():
        if name not in _TAKES and value != parser.get_default(name):
            parser.error(f"--{name.replace('_', '-')} does not go with --review; see --help review")
    return ReviewSettings(tuple(given.review), given.coder, given.blind, read_serve_settings(given, parser), given.open)

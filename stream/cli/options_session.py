"""The options of recorded sessions: --session, --replay, --report."""

import argparse
from dataclasses import dataclass
from pathlib import Path

_NEED_SESSION = {"consent": "--consent", "record_source": "--record-source", "anonymise": "--anonymise"}


@dataclass(frozen=True)
class SessionOptions:
    """`folder`: where everything of the run goes, None for no session.

    `replay`: the session whose recording is the source; `check`: compare with its rows. `report`: only make the report
    of that session.
    """

    folder: Path | None = None
    consent: str | None = None
    record_source: bool = False
    anonymise: bool = False
    replay: Path | None = None
    check: bool = False
    report: Path | None = None


def add_group(parser: argparse.ArgumentParser) -> None:
    session = parser.add_argument_group("sessions (a folder with everything of one run)")
    session.add_argument(
        "--session",
        type=Path,
        metavar="DIR",
        help="write frames.csv, events.jsonl, session.json, a picture of every event and report.html into a new folder",
    )
    session.add_argument(
        "--consent", metavar="TEXT", help="what the people in the picture agreed to, kept in session.json"
    )
    session.add_argument(
        "--record-source",
        action="store_true",
        help="keep the pictures themselves, lossless, so that --replay gives the same rows (about 0.5 MB a frame at 640×480)",
    )
    session.add_argument(
        "--anonymise",
        action="store_true",
        help="keep no picture of anybody: landmarks on black in their place. Such a session cannot be replayed",
    )
    session.add_argument(
        "--check", action="store_true", help="with --replay: compare with the recorded rows, exit 1 when they differ"
    )


def add_sources(origin: argparse._MutuallyExclusiveGroup) -> None:  # pyright: ignore[reportPrivateUsage]
    """What comes in place of a camera or a file."""
    origin.add_argument(
        "--replay", type=Path, metavar="DIR", help="a session recorded with --record-source: the same rows again"
    )
    origin.add_argument(
        "--report", type=Path, metavar="DIR", help="make DIR/report.html of a session that was killed, then end"
    )


def read(given: argparse.Namespace, parser: argparse.ArgumentParser) -> SessionOptions:
    """Ends with a usage error where options do not go together or the folder is not empty."""
    folder: Path | None = given.session
    for name, option in _NEED_SESSION.items():
        if folder is None and getattr(given, name):
            parser.error(f"{option} needs --session DIR")
    if given.check and given.replay is None:
        parser.error("--check needs --replay DIR")
    if folder is not None and given.report is not None:
        parser.error("--report makes the report of a run that has ended: it does not go with --session")
    if folder is not None and folder.exists() and not folder.is_dir():
        parser.error(f"--session {folder} is a file: give a new folder")
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        parser.error(f"--session {folder} is not empty: give a new or an empty folder")
    return SessionOptions(
        folder, given.consent, given.record_source, given.anonymise, given.replay, given.check, given.report
    )

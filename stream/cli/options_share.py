"""What is kept of a run and who else is told: sessions, the web view, experiments; topics of the command line."""

import argparse
import os
from pathlib import Path

from stream.cli.option_types import address, lsl_name, token
from stream.cli.options_run import first_line
from stream.cli.topics import Add, Topic
from stream.session.session_folder import SessionSettings
from stream.web.access import ServeSettings, check_token

_LSL_NAME = "Microlive"

_SESSIONS_LESSON = """\
A session is a folder with everything of one run: frames.csv, events.jsonl, session.json
(model, source, versions, settings, consent note), a picture of every event, and
report.html, one page that needs nothing else. A run that was killed stays readable up to
its last rows. Every movement is kept with its probability of being a micro-expression, so the
page has a control for the sensitivity, false events a minute that you put up with.
With --report DIR --sensitivity F it opens at another one. Neither needs a new run.

  python run_live.py --camera 0 --session runs/anna-1 --consent "signed form 12"
  python run_live.py --camera 0 --session runs/anna-2 --record-source
  python run_live.py --replay runs/anna-2 --check      the same rows again, and compared
  python run_live.py --report runs/anna-1 --sensitivity 5     the same run with more candidates
"""
_WEB_LESSON = """\
The page shows picture, probabilities, the last ten seconds, events and health to up to 16
viewers. A slow one gets fewer pictures and holds nothing up.

  python run_live.py --camera 0 --headless --serve 8080     http://127.0.0.1:8080/
  ssh -L 8080:localhost:8080 MACHINE                        the same from another machine
  python run_live.py --camera 0 --serve 0.0.0.0:8080        for all who have the token
"""
_EXPERIMENT_LESSON = """\
Time marks come in over UDP and are kept on the source's clock; events and probabilities
go out. The source then keeps its own pace. A mark is a line {"mark": "stimulus 3"};
whoever sends {"subscribe": true} is sent every event for a minute.

  python run_live.py --camera 0 --marker-port 5005 --markers marks.jsonl
  python run_live.py --camera 0 --session runs/anna-3 --marker-port 5005 --lsl
"""


def _add_sessions(add: Add) -> None:
    add(
        "--session",
        "keep everything of the run in a new folder",
        "It gets frames.csv, events.jsonl, session.json, a picture of every event and report.html",
        common=True,
        type=Path,
        metavar="DIR",
    )
    add("--consent", "what the people in the picture agreed to, kept in session.json", metavar="TEXT")
    add(
        "--record-source",
        "keep the pictures themselves, lossless, so that --replay gives the same rows",
        "About 0.5 MB a frame at 640×480",
        action="store_true",
    )
    add(
        "--anonymise",
        "keep no picture of anybody: landmarks on black in their place",
        "Such a session cannot be replayed. The source's name is left out too: a word stands for it, or --label",
        action="store_true",
    )
    add(
        "--replay",
        "a session recorded with --record-source: the same rows again",
        "It comes in place of a camera or a file",
        type=Path,
        metavar="DIR",
    )
    add("--check", "with --replay: compare with the recorded rows, exit 1 when they differ", action="store_true")
    add(
        "--report",
        "make DIR/report.html of a session that was killed, or anew, then end",
        "With --sensitivity F it opens at F false events a minute instead of at the run's own",
        type=Path,
        metavar="DIR",
    )


def _add_web(add: Add) -> None:
    add(
        "--serve",
        "show the run in a web page",
        "Beside the window or without one. Without HOST, or with localhost, for this machine only; any other HOST, "
        "0.0.0.0 for all, needs the token in the address that is printed, and nothing on the way is encrypted",
        common=True,
        type=address,
        metavar="[HOST:]PORT",
    )
    add(
        "--serve-token",
        "a token of your own, 16 letters or more, for localhost too (default: a new one where it is needed)",
        "Command lines can be read by everybody on the machine: better give it by MICROLIVE_SERVE_TOKEN or "
        "--serve-token-file",
        type=token,
        metavar="TOKEN",
    )
    add("--serve-token-file", "a file whose first line is the token", type=Path, metavar="FILE")


def _add_experiment(add: Add) -> None:
    add(
        "--marker-port",
        "take time marks as JSON lines over UDP, and send events to those who subscribe",
        "Without HOST for this machine only; with one, for everybody who can reach it",
        type=address,
        metavar="[HOST:]PORT",
    )
    add(
        "--markers",
        "write the marks with their time on the source's clock, one JSON object a line (in a session: markers.jsonl)",
        type=Path,
        metavar="OUT.jsonl",
    )
    add(
        "--lsl",
        "send NAME-probabilities and NAME-events over Lab Streaming Layer",
        f"Default name: {_LSL_NAME}; needs requirements-lsl.txt. Everybody on the network can receive them, unless LSL's "
        "own configuration says otherwise",
        nargs="?",
        const=_LSL_NAME,
        type=lsl_name,
        metavar="NAME",
    )


SESSIONS = Topic("sessions", "everything of one run in a folder; replays and reports", _add_sessions, _SESSIONS_LESSON)
WEB = Topic("web", "the run in a browser", _add_web, _WEB_LESSON)
EXPERIMENT = Topic("experiment", "time marks over UDP, Lab Streaming Layer", _add_experiment, _EXPERIMENT_LESSON)


def read_session_settings(given: argparse.Namespace, parser: argparse.ArgumentParser) -> SessionSettings | None:
    """None without --session. Ends with a usage error where options do not go together or the folder is not empty."""
    folder: Path | None = given.session
    if given.check and given.replay is None:
        parser.error("--check needs --replay DIR")
    if folder is None:
        for name in ("consent", "record_source", "anonymise"):
            if getattr(given, name):
                parser.error(f"--{name.replace('_', '-')} needs --session DIR")
        return None
    if given.report is not None:
        parser.error("--report makes the report of a run that has ended: it does not go with --session")
    if folder.exists() and not folder.is_dir():
        parser.error(f"--session {folder} is a file: give a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        parser.error(f"--session {folder} is not empty: give a new or an empty folder")
    return SessionSettings(folder, given.consent, given.record_source, given.anonymise)


def read_serve_settings(given: argparse.Namespace, parser: argparse.ArgumentParser) -> ServeSettings | None:
    """None without --serve. Ends with a usage error where options do not go together."""
    if given.serve is None:
        for name in ("serve_token", "serve_token_file"):
            if getattr(given, name) is not None:
                parser.error(f"--{name.replace('_', '-')} needs --serve")
        return None
    if given.serve_token is not None and given.serve_token_file is not None:
        parser.error("argument --serve-token-file: not allowed with argument --serve-token")
    if given.serve_token is not None:
        return ServeSettings(given.serve, given.serve_token)
    where, text = "MICROLIVE_SERVE_TOKEN", os.environ.get("MICROLIVE_SERVE_TOKEN")
    if given.serve_token_file is not None:
        where = f"--serve-token-file {given.serve_token_file}"
        text = first_line(given.serve_token_file, "--serve-token-file", parser)
    try:
        return ServeSettings(given.serve, check_token(text) if text else None)
    except ValueError as error:
        parser.error(f"{where}: {error}")


def check_experiment(given: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Ends with a usage error where options do not go together, or where pylsl is needed and missing."""
    if given.markers is not None and given.marker_port is None:
        parser.error("--markers needs --marker-port, where the marks come in")
    if given.pace == "fast":
        for name, value in (("--marker-port", given.marker_port), ("--lsl", given.lsl)):
            if value is not None:
                parser.error(f"{name} needs a source that keeps its own pace: leave out --pace fast")
    if given.lsl is not None:
        # Only here: nobody else has to have it.
        from stream.sinks.lsl import LslError, load_pylsl

        try:
            load_pylsl()
        except LslError as error:
            parser.error(f"--lsl: {error}")

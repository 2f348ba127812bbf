"""`microlive-fleet`: many sources at once, each recorded as sessions."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.table import Table

from model.decision import DEFAULT_SENSITIVITY
from model.guards import private_files
from model.quiet import hold_standard_streams
from model.signals import EndSignals
from stream.cli.errors import exit_code
from stream.cli.option_types import frame_rate_hz, not_negative_number, positive
from stream.cli.options_run import MODEL, check_faces
from stream.cli.options_share import WEB, read_serve_settings
from stream.cli.topics import Add, Topic, TopicParser
from stream.fleet.orders import RecordSettings
from stream.screen.terminal import Screen
from stream.sinks.base import check_target, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from stream.fleet.fleet_tables import TablesReport
    from stream.fleet.run_fleet import FleetReport, FleetSettings

_USAGE = "microlive-fleet SOURCES.yaml|FOLDER --out DIR [options] | --tables-of DIR"
_HEAD = """\
Record many sources at once: cameras and streams that never end, and any number of
files. Each becomes sessions under DIR/sessions/, as microlive --session writes them.

examples:
  microlive-fleet recordings/ --out fleet             every video in a folder, at any depth
  microlive-fleet lab.yaml --out fleet                cameras and streams, until Ctrl-C
  microlive-fleet recordings/ --out fleet --ray 10.0.0.5:6379       on a Ray cluster
  microlive-fleet recordings/ --out fleet             the same line again goes on where it was
  microlive-fleet --tables-of fleet                   tables and page of what is there by now
"""
_FOOT = """\
Exit code: 0 all well; 1 a source failed or could not be read, with --tables-of a session;
2 wrong usage; 130 stopped before all files were done. Labels are what a model trained on
synthetic clips makes of small facial movements. They are no lie detector, and no judgement of
a person may rest on them.
"""
_FLEET_LESSON = """\
A YAML file names the sources; options stand beside each, or under defaults:

  defaults:
    sensitivity: 0.5
  sources:
    door: 0                                   a camera
    hall: rtsp://10.0.0.7/stream              a stream (http, rtsp, …)
    talk: recordings/talk.mp4                 a file, as seen from the YAML file
    ward: {source: rtsp://10.0.0.8/s, max_faces: 3, anonymise: true, consent: form 12}

Options: model, provider, engine, threads, max_faces, face_at: [x, y], one_person,
detect_events, sensitivity, max_frames, fps, label, consent, record_source, anonymise; of cameras
size_px: [w, h] and backend; of cameras and streams open_timeout_s, read_timeout_s and
retry_for_s: one that is lost for so long is begun anew (default: 60).

What dies is begun again, after waits that grow; a camera that comes back gets a new
session, a file is recorded anew, whole. DIR/state.jsonl has a line for every event. Only
one fleet at a time has a DIR. Ctrl-C closes every session.
"""
_TABLES_LESSON = """\
All sessions as two tables, events and frames, as docs/TABLES.md has them, and as a page,
DIR/index.html. They are made at the end, and every ten minutes while the fleet runs, by a
process that everything else goes before. A table of frames whose sessions have not changed is
left as it is. --tables-of makes them at any time, of a fleet that runs or has ended, here or
wherever its folder lies or was copied to; with it go --tables, --json and --debug.

  microlive-fleet lab.yaml --out fleet --tables-every 1       once a minute
  microlive-fleet --tables-of fleet                           now
  microlive-fleet --tables-of /mnt/lab/fleet --tables csv     on another machine
"""
_BOARD_LESSON = """\
The page shows a tile for every camera and stream: its newest picture, about twice a second and
only while somebody looks, its state, and its last event.

  microlive-fleet lab.yaml --out fleet --serve 8080             http://127.0.0.1:8080/
  microlive-fleet lab.yaml --out fleet --serve 0.0.0.0:8080     for all who have the token
"""
_TABLES_EVERY_MIN = 10.0
_TAKEN_BY_TABLES_OF = ("tables_of", "tables", "json", "debug")


@dataclass(frozen=True)
class FleetOptions:
    """What is asked; `usual` holds for sources of which the file says nothing else; `tables`: in which form, at the end and every
    `tables_every_s`, 0 for only at the end."""

    sources: Path
    settings: "FleetSettings"
    usual: RecordSettings
    tables: Literal["parquet", "csv", "none"]
    tables_every_s: float
    json: Path | None
    debug: bool


@dataclass(frozen=True)
class TablesOptions:
    """Only tables and page, of the fleet in `out`."""

    out: Path
    form: Literal["parquet", "csv"]
    json: Path | None
    debug: bool


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 all well, 1 where a source failed or the fleet could not run, 2 wrong usage, 130 stopped early."""
    hold_standard_streams()
    options = _parse(argv)

    def run(signals: EndSignals) -> int:
        with closing(Screen()) as screen:
            if isinstance(options, TablesOptions):
                return _make_tables(options, screen)
            return _run(options, screen, signals)

    with private_files():
        return exit_code(run, options.debug, interrupted=130)


def _add_fleet(add: Add) -> None:
    add("--out", "the fleet's folder: new, or one to go on with", common=True, type=Path, metavar="DIR")
    add(
        "--jobs",
        "so many processes (default: one a core, and one for every four cameras)",
        "With --ray: so many workers",
        common=True,
        type=positive,
        metavar="N",
    )
    add(
        "--ray",
        "work on a Ray cluster: its address, or local for one of this machine",
        "Needs requirements-ray.txt. DIR and the files must lie under the same path on every node",
        common=True,
        metavar="ADDRESS|local",
    )
    add("--anew", "record finished files again where the settings are others", action="store_true")
    add("--fps", "files were filmed at so many frames a second", type=frame_rate_hz, metavar="N")
    add("--max-frames", "end every source after N frames", type=positive, metavar="N")
    add("--consent", "what the people in the pictures agreed to, kept in every session.json", metavar="TEXT")
    add("--record-source", "keep the pictures themselves, lossless, for --replay", action="store_true")
    add("--json", "write counts and the state of every source at the end", type=Path, metavar="OUT.json")
    add("--debug", "show the traceback of an error", action="store_true")


def _add_tables(add: Add) -> None:
    add(
        "--tables",
        "tables of all sessions, with index.html: parquet, csv, or none of both",
        "Default: parquet where pyarrow is installed, else csv",
        choices=("parquet", "csv", "none"),
        metavar="FORM",
    )
    add(
        "--tables-every",
        "make them anew every N minutes while the fleet runs",
        f"Default: {_TABLES_EVERY_MIN:g}; 0 for only at the end. More seldom where that takes long",
        type=not_negative_number,
        metavar="MINUTES",
    )
    add(
        "--tables-of",
        "only make the tables and the page of a fleet, also one that runs",
        common=True,
        type=Path,
        metavar="DIR",
    )


_BOARD = Topic("board", "all live sources in a browser", WEB.add_options, _BOARD_LESSON)
_FLEET = Topic("fleet", "sources, workers, what is kept", _add_fleet, _FLEET_LESSON)
_TABLES = Topic("tables", "all sessions as tables and a page", _add_tables, _TABLES_LESSON)


def _parse(argv: Sequence[str] | None) -> FleetOptions | TablesOptions:
    parser = TopicParser("microlive-fleet", _USAGE, (_FLEET, _TABLES, MODEL, _BOARD), _HEAD, _FOOT)
    parser.add_argument("sources", type=Path, nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.tables_of is not None:
        return _tables_options(given, parser)
    if given.sources is None or given.out is None:
        parser.error("give sources and --out DIR, or --tables-of DIR")
    if given.tables == "none" and given.tables_every:
        parser.error("--tables-every does not go with --tables none")
    check_faces(given, parser)
    from stream.fleet.run_fleet import FleetSettings  # brings pydantic, which the help does without

    usual = RecordSettings(
        model=given.model and given.model.absolute(),
        provider=given.provider,
        engine=given.engine or "auto",
        threads=given.threads or 1,
        max_faces=given.max_faces or 1,
        face_at=given.face,
        one_person=given.one_person,
        detect_events=not given.no_events,
        sensitivity=given.sensitivity or DEFAULT_SENSITIVITY,
        max_frames=given.max_frames,
        fps=given.fps,
        consent=given.consent,
        record_source=given.record_source,
    )
    settings = FleetSettings(given.out, given.jobs, given.ray, given.anew, read_serve_settings(given, parser))
    every_min = _TABLES_EVERY_MIN if given.tables_every is None else given.tables_every
    tables = given.tables or _usual_tables()
    return FleetOptions(given.sources, settings, usual, tables, 60 * every_min, given.json, given.debug)


def _tables_options(given: argparse.Namespace, parser: argparse.ArgumentParser) -> TablesOptions:
    for name, value in vars(given).items():
        if value != parser.get_default(name) and name not in _TAKEN_BY_TABLES_OF:
            what = "it takes no sources" if name == "sources" else f"--{name.replace('_', '-')} does not go with it"
            parser.error(f"--tables-of only makes tables: {what}")
    if given.tables == "none":
        parser.error("--tables-of makes tables: --tables none does not go with it")
    return TablesOptions(given.tables_of, given.tables or _usual_tables(), given.json, given.debug)


def _usual_tables() -> Literal["parquet", "csv"]:
    return "parquet" if importlib.util.find_spec("pyarrow") is not None else "csv"


def _run(options: FleetOptions, console: "Console", signals: EndSignals) -> int:
    from stream.fleet.fleet_folder import FleetError
    from stream.fleet.run_fleet import run_fleet
    from stream.fleet.source_list import read_sources

    try:
        listed = read_sources(options.sources, options.usual, options.settings.out)
    except FleetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if listed.left_out:
        console.print(f"{listed.left_out} files that are no videos by their names are left out", style="dim")
    if options.json is not None:
        check_target(options.json, "JSON file")
    with _kept_tables(options, console):
        report = run_fleet(options.settings, listed.sources, console)
    signals.finishing()
    _show(report, console)
    if options.json is not None:
        write_json(options.json, report.to_dict())
        console.print(f"Written: {options.json}", soft_wrap=True, markup=False)
    if options.tables != "none" and (options.settings.out / "sessions").is_dir():
        _write_result(options.settings.out, options.tables, console)
    return report.exit_code


def _kept_tables(options: FleetOptions, console: "Console") -> AbstractContextManager[object]:
    """While the fleet runs."""
    if options.tables == "none" or not options.tables_every_s:
        return nullcontext()
    from stream.fleet.tables_keeper import TablesKeeper

    def said(line: str) -> None:
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

    return TablesKeeper(options.settings.out, options.tables, options.tables_every_s, said)


def _make_tables(options: TablesOptions, console: "Console") -> int:
    if options.json is not None:
        check_target(options.json, "JSON file")
    written = _write_result(options.out, options.form, console)
    if options.json is not None:
        write_json(options.json, asdict(written))
        console.print(f"Written: {options.json}", soft_wrap=True, markup=False)
    return 1 if written.problems else 0


def _write_result(out: Path, form: Literal["parquet", "csv"], console: "Console") -> "TablesReport":
    from stream.fleet.fleet_tables import write_tables
    from stream.fleet.index_page import write_index

    with console.status("Making the tables"):
        written = write_tables(out, form)
    for line in written.lines():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    with console.status("Making the page"):
        page = write_index(out)
    console.print(f"Written: {page}", soft_wrap=True, markup=False)
    return written


def _show(report: "FleetReport", console: "Console") -> None:
    table = Table(box=None, show_header=False)
    told = report.to_dict()
    for name, count in report.counts.items():
        table.add_row(name, str(count))
    if report.finished_before:
        table.add_row("done before", str(report.finished_before))
    table.add_row("restarts", str(told["restarts"]))
    table.add_row("frames", f"{told['frames']} in {report.seconds:.1f} s, {told['fps']:.0f} a second")
    console.print(table)

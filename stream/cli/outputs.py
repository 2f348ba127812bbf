"""Everything that a run writes or sends: opened in one place, closed together.

A new output is one line in `_open_files`, when it needs to be there before the source is opened, or in `attach`, when it
needs the source or the run. What a run tells others while it goes on has a class of its own: `NetworkOutputs`.
"""

import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console

from model.contract import ClipContract
from stream.cli.options import LiveOptions
from stream.history import LiveHistory
from stream.network_address import is_loopback
from stream.recognizer import Recognizer
from stream.run import LiveRun
from stream.screen.overlay import Overlay
from stream.session.anonymise import Anonymiser, FacelessOverlay
from stream.session.facts import RunFacts, as_json
from stream.session.replay import ReplayCheck
from stream.session.session import Session
from stream.session.session_folder import SessionFolder
from stream.sinks.base import Sink, SinkError, check_target, write_json
from stream.sinks.marker_port import MarkerPort
from stream.sinks.tables import CsvSink, EventsSink
from stream.sinks.video import RecordSink
from stream.sources.base import FrameSource, source_name
from stream.web.access import Listener, open_listener
from stream.web.viewers import Redraw

if TYPE_CHECKING:
    from stream.web.server import WebView


class Outputs:
    """The outputs that the options ask for. A context manager around the source and the run.

    Entering makes the files: one that cannot be written must not cost a run. Leaving closes all of them, the last one
    opened first, whatever happened; `finish` then writes what is only known at the end. `name`: of the source, where it is
    not its own. Raises `SinkError`.
    """

    def __init__(self, options: LiveOptions, recognizer: Recognizer, name: str | None = None) -> None:
        self._options = options
        self._name = name
        self._recognizer = recognizer
        self._stack = ExitStack()
        self._sinks: list[Sink] = []
        self._anonymiser: Anonymiser | None = None
        self._session: Session | None = None
        self._check: ReplayCheck | None = None
        self._network: NetworkOutputs | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._open_files(opening)
            self._stack = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _open_files(self, opening: ExitStack) -> None:
        options, contract = self._options, self._recognizer.contract
        names, units = contract.class_names, contract.unit_names
        if options.session is not None:
            if options.session.anonymise:
                self._anonymiser = opening.enter_context(Anonymiser(options.max_faces))
            session = Session(
                options.session,
                run_facts(options, self._name),
                self._recognizer,
                options.detect_events,
                self._anonymiser,
            )
            self._session = opening.enter_context(session)
        markers = options.markers
        if markers is None and options.marker_port is not None and self._session is not None:
            markers = self._session.folder.markers
        self._network = opening.enter_context(NetworkOutputs(options, self._recognizer.contract, markers))
        if options.csv is not None:
            if options.action_units and not units:
                raise SinkError("--action-units: the model tells none; leave it out, or give another --model")
            columns = units if options.action_units else ()
            self._sinks.append(opening.enter_context(CsvSink(options.csv, names, columns)))
        if options.events is not None:
            self._sinks.append(opening.enter_context(EventsSink(options.events)))
        if options.json is not None:
            check_target(options.json, "JSON file")
        if options.replay is not None and options.check:
            recorded = SessionFolder(options.replay)
            complete = recorded.read_facts().get("state") == "finished" and options.max_frames is None
            self._check = opening.enter_context(ReplayCheck(recorded, names, complete, units))
            self._sinks.append(self._check)

    def attach(self, live_run: LiveRun, source: FrameSource) -> None:
        """Gives the outputs to a run that has not started, of a source that is open."""
        for sink in self._sinks:
            live_run.add_sink(sink)
        if self._session is not None:
            self._session.attach(live_run, source)
        if self._network is not None:
            self._network.attach(live_run, source, self._anonymiser.picture if self._anonymiser is not None else None)
        if self._options.record is not None:
            live_run.add_sink(self._stack.enter_context(self._recorder(self._options.record, live_run, source)))

    def greeting(self) -> Sequence[str]:
        """Lines for the screen: where to find what is open to others, a token included."""
        return self._network.greeting() if self._network is not None else ()

    def finish(self, live_run: LiveRun, console: Console) -> None:
        """After everything is closed: what is only known then, and the names of the files. Raises `SessionError` when a
        replay is not what was recorded."""
        options = self._options
        if options.json is not None:
            write_json(options.json, live_run.report())
        if self._session is not None and self._session.kept:
            # Nothing else needs templates.
            from stream.session.report import write_report

            with console.status("Making the report"):
                write_report(self._session.folder)
        begun = [options.csv, options.events, options.markers, options.record] if live_run.summary.frames else []
        paths = [*begun, options.json]
        paths += [self._session.folder.report] if self._session is not None and self._session.kept else []
        for path in paths:
            if path is not None:
                console.print(f"Written: {path}", soft_wrap=True, markup=False)
        for line in self._network.farewell() if self._network is not None else ():
            console.print(line, soft_wrap=True, markup=False, highlight=False)
        if self._check is not None and live_run.error is None:
            console.print(self._check.verdict())

    def snapshot_overlay(self) -> Overlay:
        """What pictures of this run may be drawn with: without faces in an anonymised session."""
        contract, options = self._recognizer.contract, self._options
        if self._anonymiser is None:
            return new_overlay(contract, options)
        names, disclaimer, frames = contract.class_names, contract.disclaimer, contract.frames
        units = contract.action_units
        return FacelessOverlay(self._anonymiser, names, disclaimer, frames, options.detect_events, units)

    def _recorder(self, path: Path, live_run: LiveRun, source: FrameSource) -> RecordSink:
        history = LiveHistory(self._recognizer.contract.class_names)
        fps = source.info.fps or None
        overlay = self.snapshot_overlay()
        return RecordSink(path, overlay, history, live_run.health, fps, block=not source.info.live)


class NetworkOutputs:
    """The web view, the marker port and Lab Streaming Layer, as the options ask for them. A context manager around the
    source and the run.

    Entering opens the ports: one that is taken must not cost a run. `markers`: the file for marks, None for none.
    Raises `SinkError`.
    """

    def __init__(self, options: LiveOptions, contract: ClipContract, markers: Path | None) -> None:
        self._options = options
        self._contract = contract
        self._markers = markers
        self._stack = ExitStack()
        self._listener: Listener | None = None
        self._port: MarkerPort | None = None
        self._view: WebView | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            if self._options.serve is not None:
                self._listener = opening.enter_context(open_listener(self._options.serve))
            if self._options.marker_port is not None:
                self._port = opening.enter_context(MarkerPort(self._options.marker_port, self._markers))
            self._stack = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def attach(self, live_run: LiveRun, source: FrameSource, redraw: Redraw | None = None) -> None:
        """Gives the outputs to a run that has not started, of a source that is open. `redraw`: what is shown to others in
        place of a frame's picture; None for the picture itself."""
        if self._port is not None:
            live_run.add_sink(self._port)
        # What a run does not use is not loaded.
        if self._options.lsl is not None:
            from stream.sinks.lsl import LslSink, load_pylsl

            sink = LslSink(load_pylsl(), self._options.lsl, self._contract, source.info.name)
            live_run.add_sink(self._stack.enter_context(sink))
        if self._listener is not None:
            from stream.web.server import WebView

            history, health, with_events = live_run.history, live_run.health, self._options.detect_events
            marks = self._port.recent if self._port is not None else None
            sensitivity = self._options.sensitivity
            view = WebView(self._listener, self._contract, history, health, with_events, redraw, marks, sensitivity)
            live_run.add_sink(self._stack.enter_context(view))
            self._view = view

    def greeting(self) -> Sequence[str]:
        """Lines that say where to find what is open, the web view's token included: for the screen, not for a log."""
        lines: list[str] = []
        if self._listener is not None:
            lines.append(f"Web view: {self._listener.url}")
        if self._port is not None:
            where = self._port.address
            everybody = (
                "" if is_loopback(where.host) else " (everybody who can reach it can send marks and be told of events)"
            )
            lines.append(f"Marker port: UDP {where}{everybody}")
            if self._markers is None:
                lines.append("Marks are not kept: no --markers OUT.jsonl")
        if self._options.lsl is not None:
            lines.append(f"LSL: {self._options.lsl}-probabilities, {self._options.lsl}-events")
        return lines

    def farewell(self) -> Sequence[str]:
        """What there is to say at the end."""
        lines: list[str] = []
        if self._view is not None and self._view.refused:
            lines.append(f"Web view: {self._view.refused} requests refused")
        if self._port is not None:
            counts = self._port.counts
            lost = f"{counts.malformed} malformed, {counts.over_rate} over the rate"
            lines.append(f"Marks: {counts.marks} kept, {lost}; {counts.sent} event messages sent, {counts.unsent} lost")
        return lines


def run_name(options: LiveOptions) -> str | None:
    """What the run's source is called where that is not its own name: the user's label, or, in an anonymised session, a
    word that stands for nobody. None: by its own name."""
    if options.label is not None:
        return options.label
    own = options.source == "demo" or isinstance(options.source, int)
    anonymised = options.session is not None and options.session.anonymise
    # No hash of the name: whoever guesses a name could tell whether it is the one.
    return f"source {secrets.token_hex(4)}" if anonymised and not (own and options.replay is None) else None


def run_facts(options: LiveOptions, name: str | None = None) -> RunFacts:
    """What session.json tells of the options: without credentials and tokens, and what is not of the run. `name`: of the
    source, where it is not its own. Of an anonymised run the names of files are left out too."""
    if name is not None:
        source = name
    else:
        source = source_name(options.source) if options.replay is None else f"replay of {options.replay}"
    session = {} if options.session is None else as_json(options.session)
    if options.session is not None and options.session.anonymise:
        left_out = Path("left out")
        options = replace(
            options, snapshots=left_out, **{n: left_out for n in _NAMING if getattr(options, n) is not None}
        )
        session["folder"] = str(left_out)
    settings: dict[str, Any] = {
        "source": source,
        "model": options.model,
        "provider": options.provider,
        "engine": options.engine,
        "threads": options.threads,
        "max_faces": options.max_faces,
        "face_at": options.face_at,
        "detect_events": options.detect_events,
        "sensitivity": options.sensitivity,
        "csv": options.csv,
        "action_units": options.action_units,
        "events": options.events,
        "record": options.record,
        "json": options.json,
        "snapshots": options.snapshots,
        "headless": options.headless,
        "pace": options.pace,
        "max_frames": options.max_frames,
        "fps": options.fps,
        "session": session | {"replay": options.replay, "check": options.check, "report": options.report},
        "serve": options.serve,
        "live": options.live,
        "experiment": {"port": options.marker_port, "file": options.markers, "lsl": options.lsl},
    }
    return RunFacts(source, as_json(settings))


_NAMING = ("csv", "events", "record", "json", "markers", "replay")
"""Files whose names may be somebody's."""


def new_overlay(contract: ClipContract, options: LiveOptions) -> Overlay:
    """The run's picture; every output that draws needs one of its own."""
    return Overlay(
        contract.class_names, contract.disclaimer, contract.frames, options.detect_events, contract.action_units
    )

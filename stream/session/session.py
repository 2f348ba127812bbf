"""A run that is kept: rows, events, pictures and facts in one folder."""

import contextlib
import json
import os
import shutil
import time
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from model.types import FrameResult
from stream.recognizer import Recognizer
from stream.run import LiveRun
from stream.session.anonymise import Anonymiser
from stream.session.event_pictures import EventPictures
from stream.session.facts import RunFacts, first_facts, source_facts, zero_time
from stream.session.session_folder import SessionFolder, SessionSettings
from stream.session.source_recorder import SourceRecorder
from stream.sinks.base import Sink, SinkError, reason, write_json
from stream.sinks.tables import CsvSink, EventsSink
from stream.sources.base import FrameSource

REFRESH_S = 10.0
"""So often session.json takes up the state of the run, for one that is killed."""


class Session(Sink):
    """A context manager around the source and the run, and one of the run's sinks.

    Entering makes the folder and session.json with the state "running". Leaving closes everything and writes the state
    "finished", or "failed: …" with the reason; a run that fails before its first row leaves nothing behind. What a run that is
    killed has written stays: rows and events line by line, session.json as it was at the last frame, or up to `REFRESH_S` before.
    `asked` is told in session.json; `with_events`: whether the run looks for events; `anonymiser` draws what is kept in
    place of pictures, where there is to be none of anybody. Raises `SinkError`.
    """

    def __init__(
        self,
        settings: SessionSettings,
        asked: RunFacts,
        recognizer: Recognizer,
        with_events: bool = True,
        anonymiser: Anonymiser | None = None,
    ) -> None:
        self.folder = SessionFolder(settings.folder)
        self._settings = settings
        self._asked = asked
        self._recognizer = recognizer
        self._with_events = with_events
        self._anonymiser = anonymiser
        self._live_run: LiveRun | None = None
        self._pictures: EventPictures | None = None
        self._recorder: SourceRecorder | None = None
        self._stack = ExitStack()
        self.kept = True
        self._live = False
        self._written_s = time.monotonic()

    def __enter__(self) -> Self:
        path = self.folder.path
        self._is_new = not path.exists()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise SinkError(f"the session {path} is not empty: give a new or an empty folder")
            self.folder.facts.touch(exist_ok=False)
        except FileExistsError as error:
            what = "another run has just begun there" if path.is_dir() else "it is no folder"
            raise SinkError(f"cannot make the session {path}: {what}; give a new folder") from error
        except OSError as error:
            raise SinkError(f"cannot make the session {path}: {reason(error)}") from error
        # From here on the folder is this run's: of two that begin together only one makes the file.
        try:
            self._facts: dict[str, Any] = first_facts(self._asked, self._settings, self._recognizer)
            write_json(self.folder.facts, self._facts)
            with ExitStack() as opening:
                opening.callback(os.close, self.folder.hold())
                contract = self._recognizer.contract
                sink = CsvSink(self.folder.frames, contract.class_names, contract.unit_names)
                self._csv = opening.enter_context(sink)
                self._events = opening.enter_context(EventsSink(self.folder.events))
                self._stack = opening.pop_all()
        except BaseException:
            self._remove()
            raise
        return self

    def attach(self, live_run: LiveRun, source: FrameSource) -> None:
        """Gives the session's outputs to a run that has not started, of a source that is open."""
        self._live_run = live_run
        self._live = source.info.live
        self._facts["source"] = source_facts(source.info)
        write_json(self.folder.facts, self._facts)
        live_run.add_sink(self._csv)
        live_run.add_sink(self._events)
        if self._with_events:
            contract, faceless = self._recognizer.contract, self._anonymiser is not None
            self._pictures = self._stack.enter_context(EventPictures(self.folder, contract, faceless))
            live_run.add_sink(self._pictures)
        if self._settings.record_source:
            draw = None if self._anonymiser is None else self._anonymiser.picture
            self._recorder = self._stack.enter_context(SourceRecorder(self.folder, source.info.fps or None, draw))
            live_run.add_sink(self._recorder)
        live_run.add_sink(self)

    def write(self, result: FrameResult) -> None:
        """Brings session.json up to date with the first frame and now and then."""
        if self._live and self._facts["zero_time"] is None:
            self._facts["zero_time"] = zero_time(result.frame)
            self._write_facts()
        if time.monotonic() - self._written_s >= REFRESH_S:
            self._written_s = time.monotonic()
            self._write_facts()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._live_run is not None:
            error = self._live_run.error
        try:
            # The outputs of a run that failed close without a complaint of their own.
            self._stack.__exit__(None if error is None else type(error), error, None)
        except SinkError as failed:
            error = error or failed
            self._end(error)
            raise
        if error is not None and not self._csv.rows:
            self._remove()
        elif error is None:
            self._end(None)
        else:
            # The first error is the one to tell.
            with contextlib.suppress(SinkError):
                self._end(error)

    def _end(self, error: BaseException | None) -> None:
        words = " ".join(str(error).split()) or type(error).__name__
        self._facts["state"] = "finished" if error is None else f"failed: {words}"
        self._facts["ended"] = datetime.now().astimezone().isoformat(timespec="milliseconds")
        try:
            self._write_facts()
        except SinkError as failed:
            self._facts["state"] = f"failed: {words if error is not None else failed}"
            self._overwrite_facts()
            raise

    def _overwrite_facts(self) -> None:
        """On a full disk there is room for no new file, but for the end of the run in the place of the old facts."""
        with contextlib.suppress(OSError), self.folder.facts.open("r+b") as file:
            room = len(file.read())
            text = json.dumps(self._facts).encode()
            if len(text) > room:
                text = json.dumps(self._facts | {"run": None}).encode()
            if len(text) <= room:
                file.seek(0)
                file.write(text.ljust(room))

    def _write_facts(self) -> None:
        if self._live_run is not None:
            self._facts["run"] = self._live_run.report()
        if self._pictures is not None:
            self._facts["event_pictures"] = {"written": self._pictures.written, "missed": self._pictures.missed}
        if self._recorder is not None:
            self._facts["recorded"] = {"frames": self._recorder.frames, "dropped": self._recorder.dropped}
        write_json(self.folder.facts, self._facts)

    def _remove(self) -> None:
        """What was made for a run that never began."""
        self.kept = False
        with contextlib.suppress(OSError):
            for path in (self.folder.pictures, self.folder.recording):
                shutil.rmtree(path, ignore_errors=True)
            # The facts last: until then the folder is no other run's.
            for path in (self.folder.frames, self.folder.events, self.folder.markers, self.folder.facts):
                path.unlink(missing_ok=True)
            if self._is_new:
                self.folder.path.rmdir()

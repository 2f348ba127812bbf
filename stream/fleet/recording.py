"""One source recorded as one session: the live program's own parts, put together without a screen."""

import threading
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from typing import Any

from model.errors import ContractError, MicroliveError
from model.types import FrameResult
from stream.engine.batch_stepper import BatchStepper
from stream.engine.engines import Engine, StreamingEngine
from stream.engine.model_file import BUNDLED_MODEL, ModelError
from stream.fleet.orders import Ended, FleetSource, Outcome, RecordOrder, RecordSettings, Standing
from stream.recognizer import Recognizer
from stream.run import LiveRun, RunLabels
from stream.session.anonymise import Anonymiser
from stream.session.facts import RunFacts, as_json
from stream.session.report import write_report
from stream.session.session import Session
from stream.session.session_folder import SessionSettings
from stream.sources.base import FrameSource, NamedSource, SourceError
from stream.sources.capture import CaptureStock
from stream.sources.live import LiveSource
from stream.sources.open import open_source

Shown = Callable[[str, FrameResult, Anonymiser | None], None]
"""Told the newest result of a source, a few times a second."""
_LOOK_S = 0.5
_TOGETHER = 6
"""So many faces of a process are stepped in one call."""


class StoppedError(MicroliveError):
    """The fleet was ended before a file was."""


class Models:
    """Loaded models, one for all recordings of a process that ask for the same."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._loaded: dict[Hashable, Recognizer] = {}
        self._steppers: dict[Recognizer, BatchStepper] = {}

    def recognizer(self, settings: RecordSettings) -> Recognizer:
        """From any thread. Raises what `Recognizer` does."""
        key = tuple(settings.of_model.values())
        with self._loading:
            if key not in self._loaded:
                self._loaded[key] = Recognizer(**settings.of_model)
            return self._loaded[key]

    def engines(self, recognizer: Recognizer) -> Callable[[], Engine] | None:
        """Makes engines whose faces, those of all live sources with this model, are stepped in one call; None where each
        source does better with its own: at the rates of cameras few frames come at the same time, and on the CPU, where a
        call for two costs nearly what two cost, waiting for each other takes more than that saves."""
        if recognizer.engine_kind != "streaming" or recognizer.provider == "CPU":
            return None
        with self._loading:
            if recognizer not in self._steppers:
                self._steppers[recognizer] = recognizer.batch_stepper(_TOGETHER)
            stepper = self._steppers[recognizer]
        return lambda: StreamingEngine(stepper)


class Recording:
    """Carries out one order: `run` in a thread of its own, the rest from any thread."""

    def __init__(self, order: RecordOrder, models: Models, captures: CaptureStock, shown: Shown) -> None:
        self.order = order
        self._models, self._captures = models, captures
        self._shown = shown
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._source: FrameSource | None = None
        self._live_run: LiveRun | None = None

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stopped.set()
        with self._lock:
            source = self._source
        if source is not None:
            source.stop()

    def standing(self) -> Standing:
        with self._lock:
            live_run, source = self._live_run, self._source
        status = None if source is None or live_run is None else source.status()
        connected = live_run is not None and (status is None or status.connection.state == "connected")
        return Standing(self.order.source.id, 0 if live_run is None else live_run.summary.frames, connected)

    def run(self) -> Ended:
        """Raises nothing that a source, a model or a disk can bring about: that is in the answer."""
        try:
            outcome, reason = self._record(), ""
        except StoppedError as error:
            outcome, reason = "stopped", str(error)
        except Exception as error:
            outcome, reason = self._outcome_of(error), _words(error)
        frames = 0 if self._live_run is None else self._live_run.summary.frames
        kept = frames > 0 and (self.order.folder / "session.json").exists()
        return Ended(self.order.source.id, outcome, reason, frames, kept)

    def _record(self) -> Outcome:
        order, settings = self.order, self.order.source.settings
        recognizer = self._models.recognizer(settings)
        with ExitStack() as stack:
            drawn = stack.enter_context(Anonymiser(settings.max_faces)) if settings.anonymise else None
            kept = SessionSettings(order.folder, settings.consent, settings.record_source, settings.anonymise)
            session = Session(kept, _facts(order), recognizer, settings.detect_events, drawn)
            stack.enter_context(session)
            source = stack.enter_context(self._opened(order.source))
            self._follow(source, recognizer, session, drawn)
        live_run = self._live_run
        try:
            if session.kept:
                write_report(session.folder)
        finally:
            if live_run is not None and live_run.error is not None:
                raise live_run.error
        return "stopped" if self._stopped.is_set() else "done"

    def _opened(self, asked: FleetSource) -> FrameSource:
        """Not open yet."""
        settings = asked.settings
        source: FrameSource
        if asked.endless:
            live = settings.live(asked.kind == "camera")
            source = LiveSource(asked.target, live, "fast", new_process=self._captures.take)
        else:
            source = open_source(asked.target, "fast", fps=settings.fps)
        if asked.name != str(asked.target):
            source = NamedSource(source, asked.name, str(asked.target))
        with self._lock:
            self._source = source
        if self._stopped.is_set():
            source.stop()
        return source

    def _follow(self, source: FrameSource, recognizer: Recognizer, session: Session, drawn: Anonymiser | None) -> None:
        """To the end of the source, or until it is stopped. Raises StoppedError for a file that is not at its end."""
        settings = self.order.source.settings
        engines = self._models.engines(recognizer) if source.info.live else None
        pipeline = recognizer.pipeline(source, engines, settings.max_frames)
        threads = f"model {recognizer.threads}, decode 1, face 1"
        labels = RunLabels(recognizer.provider, recognizer.engine_kind, threads, recognizer.threads)
        live_run = LiveRun(pipeline, source, recognizer.contract.class_names, labels, shares_process=source.info.live)
        session.attach(live_run, source)
        with self._lock:
            self._live_run = live_run
        with live_run:
            while not live_run.ended and not self._stopped.is_set():
                newest = live_run.take(_LOOK_S)
                if newest is not None and source.info.live:
                    self._shown(self.order.source.id, newest, drawn)
        if self._stopped.is_set() and not source.info.live:
            raise StoppedError("stopped before its end")

    def _outcome_of(self, error: Exception) -> Outcome:
        if self._stopped.is_set():
            return "stopped"
        if self.order.source.endless:
            # A camera comes back and a disk is emptied; a model that does not fit never will.
            return "failed" if isinstance(error, ModelError | ContractError | ValueError) else "lost"
        return "skipped" if self._live_run is None and isinstance(error, SourceError) else "failed"


def _facts(order: RecordOrder) -> RunFacts:
    told: dict[str, Any] = order.source.told()
    source: str = told["source"]
    fleet = {"source": order.source.id, "attempt": order.attempt}
    model = as_json(order.source.settings.model or BUNDLED_MODEL)
    live = order.source.settings.live(order.source.kind == "camera") if order.source.endless else None
    settings = told["settings"] | {"source": source, "model": model, "live": as_json(live), "fleet": fleet}
    return RunFacts(source, settings)


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MicroliveError) and text else f"{type(error).__name__}: {text}".rstrip(": ")

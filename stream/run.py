"""One live run in the background: takes results as they come, feeds the outputs, keeps the newest for the screen."""

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

from model.types import Event, FrameResult
from stream.face.quality import CropJitter
from stream.health import Health, RateMeter
from stream.history import LiveHistory
from stream.machine import peak_memory_mb, seconds_since_start
from stream.pipeline import LivePipeline
from stream.screen.summary import RunSummary
from stream.sinks.base import Sink
from stream.sources.base import FrameSource


@dataclass(frozen=True)
class RunLabels:
    """What the status line says of the run besides its numbers."""

    provider: str
    engine: str
    threads: str
    model_threads: int


class LiveRun:
    """Works through a pipeline in a thread; whoever shows it takes the newest result when it likes.

    Drawing and display happen in the taker's thread, so they never hold up classification. Leaving the `with` block
    ends the thread. `error` is what ended the run early, if anything did; `first_frame_s` and `first_label_s` count from
    the start of the process. `shares_process`: with other runs, so that the process's processor time tells nothing of this one.
    """

    def __init__(
        self,
        pipeline: LivePipeline,
        source: FrameSource,
        class_names: Sequence[str],
        labels: RunLabels,
        shares_process: bool = False,
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._labels, self._shares_process = labels, shares_process
        self._sinks: list[Sink] = []
        self.summary = RunSummary(class_names)
        self.history = LiveHistory(class_names)
        self.error: BaseException | None = None
        self.first_frame_s: float | None = None
        self.first_label_s: float | None = None
        self._span_s = (0.0, 0.0)
        self._processor_s = (0.0, 0.0)
        self._read_rate, self._answer_rate, self._shown_rate = RateMeter(), RateMeter(), RateMeter()
        self._jitter = CropJitter()
        self._changed = threading.Condition()
        self._newest: FrameResult | None = None
        self._latency_ms: float | None = None
        self._ended = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="classify", daemon=True)

    def add_sink(self, sink: Sink) -> None:
        """Before the run starts. Of a run that starts, it is told the end too (`Sink.finish`); closing it is its owner's."""
        self._sinks.append(sink)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipeline.stop()
        self._thread.join(timeout=10.0)

    def take(self, timeout_s: float) -> FrameResult | None:
        """The newest result not yet taken; None when none came within the time, or the run has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, timeout_s)
            result, self._newest = self._newest, None
        return result

    def wait_end(self, timeout_s: float) -> bool:
        """Waits for the last result and no other; whether it has come."""
        return self._over.wait(timeout_s)

    @property
    def ended(self) -> bool:
        """No more results will come and the last one has been taken."""
        with self._changed:
            return self._ended and self._newest is None

    def note_shown(self) -> None:
        """A picture of the run was drawn on the screen."""
        self._shown_rate.tick()

    def health(self) -> Health:
        """From any thread."""
        watched = self._source.status()
        dropped = {"source": self._source.dropped} | dict(watched.dropped if watched else {})
        losses = [self._source.losses, *(sink.losses for sink in self._sinks)]
        for cause, count in (loss for lost in losses for loss in lost.items()):
            dropped[cause] = dropped.get(cause, 0) + count
        age_s = watched.newest_age_s if watched else None
        return Health(
            source=self._source.info.name,
            provider=self._labels.provider,
            engine=self._labels.engine,
            fps_read=self._read_rate.rate_hz(),
            fps_classified=self._answer_rate.rate_hz(),
            latency_ms=self._latency_ms,
            dropped={cause: count for cause, count in dropped.items() if count},
            frames=self.summary.frames,
            frames_total=self._source.info.frames,
            threads=self._labels.threads,
            fps_captured=watched.fps_captured if watched else None,
            fps_aligned=self._pipeline.aligned.rate_hz(),
            fps_shown=self._shown_rate.rate_hz(),
            rate_hz=self._pipeline.clock.rate_hz,
            newest_age_ms=None if age_s is None else 1000 * age_s,
            crop_jitter_px=self._jitter.px,
            connection=watched.connection if watched else None,
            gaps=self._pipeline.clock.gaps,
            last_gap_s=self._pipeline.clock.last_gap_s,
            reconnects=watched.reconnects if watched else 0,
        )

    def report(self) -> dict[str, Any]:
        """The run in numbers, for scripts."""
        startup = {"first_frame_s": self.first_frame_s, "first_label_s": self.first_label_s}
        health = self.health()
        run = {"source": self._source.info.name, **asdict(self._labels), "dropped": dict(health.dropped)}
        run["fps"] = self._mean_fps()
        run["processor_ms"] = None if self._shares_process else self._mean_processor_ms()
        clock = self._pipeline.clock
        timestamps = {"gaps": clock.gaps, "repeated_or_backward": clock.repeated, "rate_hz": clock.rate_hz}
        run["timestamps"] = timestamps
        run["remarks"] = list(self._source.remarks())
        run["health"] = health.as_dict() | {"outages": self._outages()}
        return run | self.summary.as_dict() | {"startup": startup, "memory": {"peak_mb": peak_memory_mb()}}

    def _outages(self) -> list[dict[str, Any]]:
        """The last ones, in seconds of the source's clock."""
        watched = self._source.status()
        return [asdict(outage) for outage in watched.outages] if watched else []

    def _mean_fps(self) -> float:
        """From the first result to the last, without start-up."""
        first_s, last_s = self._span_s
        return (self.summary.frames - 1) / (last_s - first_s) if last_s > first_s else 0.0

    def _mean_processor_ms(self) -> float:
        """Processor time a frame, of all threads together, from the first result to the last."""
        first_s, last_s = self._processor_s
        return 1000 * (last_s - first_s) / (self.summary.frames - 1) if self.summary.frames > 1 else 0.0

    def _work(self) -> None:
        try:
            self._write_all()
            self._finish(self._pipeline.finish())
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
            self._over.set()

    def _write_all(self) -> None:
        try:
            with closing(self._pipeline.results()) as results:
                for result in results:
                    self._note(result)
                    for sink in self._sinks:
                        sink.write(result)
                    with self._changed:
                        self._newest = result
                        self._changed.notify()
        except BaseException as error:
            self.error = error

    def _finish(self, events: Sequence[Event]) -> None:
        """Every output hears of the end, whatever ended the run; the first error is the one to tell."""
        self.summary.finish(events)
        self.history.finish(events)
        for sink in self._sinks:
            try:
                sink.finish(events)
            except Exception as error:
                self.error = self.error or error

    def _note(self, result: FrameResult) -> None:
        self.summary.add(result)
        self.summary.gaps = self._pipeline.clock.gaps
        self.history.record(result)
        self._read_rate.tick()
        self._jitter.step(result.faces[0] if result.faces else None)
        now_s = time.monotonic()
        if self.first_frame_s is None:
            self.first_frame_s = seconds_since_start()
            self._span_s = (now_s, now_s)
            self._processor_s = (time.process_time(), 0.0)
        self._span_s = (self._span_s[0], now_s)
        self._processor_s = (self._processor_s[0], time.process_time())
        if result.prediction is not None:
            if self.first_label_s is None:
                self.first_label_s = seconds_since_start()
            self._answer_rate.tick()
            self._latency_ms = result.latency_ms

"""From the camera to the label: how late is an answer? Measured by numbers that the sender draws into the pictures."""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.types import FrameResult
from stream.benchmark.camera import SIZE_PX, read_number
from stream.benchmark.engine_times import ROOT
from stream.network_address import NetworkAddress
from stream.recognizer import Recognizer
from stream.run import LiveRun, RunLabels
from stream.sinks.base import Sink
from stream.sinks.tables import CsvSink, EventsSink
from stream.sources.base import SourceError
from stream.sources.live import LiveSource
from stream.web.access import ServeSettings, open_listener

_PICTURES = 600
_SETTLED_S = 3.0
"""The first pictures meet a program that still loads its face model."""


@dataclass(frozen=True)
class Spread:
    """Of times in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class Latency:
    """Pictures of `width_px` x `height_px` with one face, JPEG over HTTP on the loopback at `rate_hz`, for `seconds`.

    `sent_to_label`: from just before a picture is handed to the sender's socket until its row is written;
    `sent_to_captured` is the part before it has arrived whole, `captured_to_label` the rest, decoding included. Of
    `labels` frames with an answer; `dropped` were overtaken. `viewer_fps`: pictures a second of each viewer of the web view
    that reads; besides them there was one that never does, unless there were no viewers at all.
    """

    width_px: int
    height_px: int
    rate_hz: float
    seconds: float
    labels: int
    dropped: dict[str, int]
    sent_to_label: Spread
    sent_to_captured: Spread
    captured_to_label: Spread
    viewer_fps: tuple[float, ...] = ()


class _Stopwatch(Sink):
    """Notes when each labelled picture was done: number, captured, done."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float]] = []

    def write(self, result: FrameResult) -> None:
        done_s = time.monotonic()
        if result.prediction is not None:
            self.rows.append((read_number(result.frame.image), result.frame.captured_s, done_s))


def measure_latency(recognizer: Recognizer, seconds: float, rate_hz: float = 30.0, viewers: int = 0) -> Latency:
    """With so many viewers of the web view, and one that stalls. Raises SourceError when there was no answer to measure."""
    stopwatch = _Stopwatch()
    names = recognizer.contract.class_names
    with (
        tempfile.TemporaryDirectory() as folder,
        _process("stream.benchmark.camera", str(rate_hz), str(_PICTURES)) as camera,
    ):
        assert camera.stdin is not None and camera.stdout is not None
        url = camera.stdout.readline().strip()
        with (
            LiveSource(url) as source,
            CsvSink(Path(folder) / "run.csv", names) as csv,
            EventsSink(Path(folder) / "run.jsonl") as events,
        ):
            labels = RunLabels(recognizer.provider, recognizer.engine_kind, "", recognizer.threads)
            live_run = LiveRun(recognizer.pipeline(source), source, names, labels)
            for sink in (csv, events, stopwatch):
                live_run.add_sink(sink)
            with _viewed(live_run, recognizer, viewers) as viewer_fps, live_run:
                time.sleep(_SETTLED_S + seconds)
            health = live_run.health()
            if live_run.error is not None:
                raise live_run.error
        sent_s = np.array(json.loads(camera.communicate()[0]))
    first_s = stopwatch.rows[0][1] + _SETTLED_S if stopwatch.rows else 0.0
    rows = np.array([row for row in stopwatch.rows if row[1] >= first_s])
    if not len(rows):
        raise SourceError("no frame had an answer: measure for longer, or on a machine that is less busy")
    return replace(_latency(rows, sent_s, rate_hz, dict(health.dropped)), viewer_fps=tuple(viewer_fps))


@contextlib.contextmanager
def _viewed(live_run: LiveRun, recognizer: Recognizer, viewers: int) -> Iterator[list[float]]:
    """The web view with so many viewers and one that stalls. At the end the list holds their pictures a second."""
    viewer_fps: list[float] = []
    if not viewers:
        yield viewer_fps
        return
    # What a run does not use is not loaded.
    from stream.web.server import WebView

    with open_listener(ServeSettings(NetworkAddress("127.0.0.1", 0))) as listener:
        view = WebView(listener, recognizer.contract, live_run.history, live_run.health)
        live_run.add_sink(view)
        with (
            view,
            _process("stream.benchmark.viewer_process", listener.url, str(viewers)) as process,
        ):
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise SourceError("the viewers of the web view cannot connect to it")
            yield viewer_fps
            viewer_fps += json.loads(process.communicate()[0])


@contextlib.contextmanager
def _process(module: str, *words: str) -> Iterator[Popen[str]]:
    """One of the benchmark's own, which ends with the block. Ctrl-C is not for it: it would have a traceback to show."""
    command = [sys.executable, "-m", module, *words]
    with Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _latency(rows: NDArray[Any], sent_s: NDArray[np.float64], rate_hz: float, dropped: dict[str, int]) -> Latency:
    numbers, captured_s, done_s = rows.T
    # Pictures come again after some seconds: the one meant was the last to be sent before it arrived.
    newest = np.searchsorted(sent_s, captured_s) - 1
    sent = newest - (newest - numbers.astype(int)) % _PICTURES
    began_s = sent_s[sent]
    return Latency(
        *SIZE_PX,
        rate_hz,
        float(done_s[-1] - captured_s[0]),
        len(rows),
        dropped,
        _spread(done_s - began_s),
        _spread(captured_s - began_s),
        _spread(done_s - captured_s),
    )


def _spread(times_s: NDArray[np.float64]) -> Spread:
    p50, p95, p99, longest = 1000 * np.percentile(times_s, (50, 95, 99, 100))
    return Spread(float(p50), float(p95), float(p99), float(longest))

"""What a run tells others while it goes on: the web view, the marker port, Lab Streaming Layer."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from model.contract import ClipContract
from stream.markers_port import MarkerPort
from stream.network_address import is_loopback
from stream.options_markers import ExperimentOptions
from stream.options_serve import ServeOptions
from stream.run import LiveRun
from stream.serve_access import Listener, open_listener
from stream.serve_picture import Redraw
from stream.sources.base import FrameSource


class NetworkOutputs:
    """The network outputs that the options ask for. A context manager around the source and the run.

    Entering opens the ports: one that is taken must not cost a run. `markers`: the file for marks, None for none.
    Raises `SinkError`.
    """

    def __init__(
        self,
        serve: ServeOptions | None,
        experiment: ExperimentOptions,
        markers: Path | None,
        contract: ClipContract,
        with_events: bool,
    ) -> None:
        self._serve = serve
        self._experiment = experiment
        self._markers = markers
        self._contract = contract
        self._with_events = with_events
        self._stack = ExitStack()
        self._listener: Listener | None = None
        self._port: MarkerPort | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            if self._serve is not None:
                self._listener = opening.enter_context(open_listener(self._serve.address, self._serve.token))
            if self._experiment.port is not None:
                self._port = opening.enter_context(MarkerPort(self._experiment.port, self._markers))
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
        if self._experiment.lsl is not None:
            from stream.lsl import LslSink, load_pylsl

            sink = LslSink(load_pylsl(), self._experiment.lsl, self._contract, source.info.name)
            live_run.add_sink(self._stack.enter_context(sink))
        if self._listener is not None:
            from stream.serve import WebView

            history, health = live_run.history, live_run.health
            marks = self._port.recent if self._port is not None else None
            view = WebView(self._listener, self._contract, history, health, self._with_events, redraw, marks)
            live_run.add_sink(self._stack.enter_context(view))

    def greeting(self) -> Sequence[str]:
        """Lines that say where to find what is open, the web view's token included: for the screen, not for a log."""
        lines: list[str] = []
        if self._listener is not None:
            lines.append(f"Web view: {self._listener.url}")
        if self._port is not None:
            where = self._port.address
            lines.append(f"Marker port: UDP {where}{_open_to_all(where.host)}")
            if self._markers is None:
                lines.append("Marks are not kept: no --markers OUT.jsonl")
        if self._experiment.lsl is not None:
            lines.append(f"LSL: {self._experiment.lsl}-probabilities, {self._experiment.lsl}-events")
        return lines

    def farewell(self) -> Sequence[str]:
        """What there is to say at the end."""
        if self._port is None:
            return ()
        counts = self._port.counts
        lost = f"{counts.malformed} malformed, {counts.over_rate} over the rate"
        return (f"Marks: {counts.marks} kept, {lost}; {counts.sent} event messages sent, {counts.unsent} lost",)


def _open_to_all(host: str) -> str:
    return "" if is_loopback(host) else " (everybody who can reach it can send marks and be told of events)"

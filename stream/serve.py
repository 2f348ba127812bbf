"""The web view: a page with the live picture and what is found in it, for machines without a display."""

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from model.contract import ClipContract
from model.types import FrameResult
from stream.event_settings import EventSettings
from stream.history import LiveHistory
from stream.markers import PlacedMark
from stream.output_file import SinkError
from stream.serve_access import Listener
from stream.serve_http import PageServer
from stream.serve_picture import PictureMaker, Redraw
from stream.serve_state import Moment, NumberedEvent, greeting, state_of
from stream.serve_viewers import Viewers
from stream.statement import Waits
from stream.timing import Health

MAX_FPS = 25.0
_WITHOUT_FRAMES_S = 1.0
"""Without new frames viewers hear so often how the run is."""
_MOST_EVENTS = 200
_END_S = 5.0


class WebView:
    """A sink of a run: `write` only keeps the newest result, and everything else happens in one asyncio thread.

    A picture is drawn and encoded once for all viewers, at most `MAX_FPS` times a second, and only while somebody waits
    for one. Entering starts the thread, leaving tells the viewers that the run has ended and ends the thread. `history`
    has taken up every result until the one that is written; `health` can be asked from any thread, and so can `redraw`,
    which gives what is shown in place of a frame's picture, and `marks`, the last ones of an experiment. When the thread fails, the next `write` raises `SinkError`.
    """

    def __init__(
        self,
        listener: Listener,
        contract: ClipContract,
        history: LiveHistory,
        health: Callable[[], Health],
        with_events: bool = True,
        redraw: Redraw | None = None,
        marks: Callable[[], Sequence[PlacedMark]] | None = None,
    ) -> None:
        self._listener = listener
        self._contract = contract
        self._history = history
        self._health = health
        self._with_events = with_events
        self._marks = marks
        self._waits = Waits(contract.frames, EventSettings().calibration_s if with_events else None)
        self._pictures = PictureMaker(contract.class_names, self._waits, redraw)
        self._result: FrameResult | None = None
        self._events: tuple[NumberedEvent, ...] = ()
        self._wanted = False
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop, self._wake = asyncio.Event(), asyncio.Event()
        self._viewers = Viewers()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, args=(self._loop,), name="web view", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, result: FrameResult) -> None:
        if self._error is not None:
            raise SinkError(f"the web view has failed: {self._error}") from self._error
        if result.events:
            first = self._events[-1].number + 1 if self._events else 1
            numbered = (NumberedEvent(first + place, event) for place, event in enumerate(result.events))
            # One step, so that the other thread sees the old or the new ones.
            self._events = (*self._events, *numbered)[-_MOST_EVENTS:]
        self._result = result
        if self._wanted:
            self._wanted = False
            self._call(self._wake)

    def close(self) -> None:
        self._call(self._stop)
        if self._thread is not None:
            self._thread.join(_END_S)

    def _call(self, event: asyncio.Event) -> None:
        # A loop that is closed is that of a thread that has ended.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(event.set)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._error = error

    async def _serve(self) -> None:
        listener = self._listener
        pages = PageServer(listener.access, listener.address.port, self._viewers, self._hello)
        server = await pages.start(listener.listening)
        making = asyncio.create_task(self._make())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((making, stopped), return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                making.result()
        finally:
            server.close()
            for task in (making, stopped):
                task.cancel()
            await self._viewers.dismiss()
            await pages.stop()

    def _hello(self) -> dict[str, object]:
        span_s = self._history.probabilities.span_s
        return dict(greeting(self._contract, self._health().source, span_s, self._with_events))

    async def _make(self) -> None:
        """Moments, as long as viewers wait for them."""
        last: Moment | None = None
        shown: FrameResult | None = None
        made_s = -math.inf
        while True:
            await self._viewers.wanted()
            await asyncio.sleep(max(0.0, made_s + 1 / MAX_FPS - time.monotonic()))
            await self._newer_than(shown)
            made_s = time.monotonic()
            result = self._result
            last = self._moment(result, last, new_picture=result is not shown)
            shown = result
            await self._viewers.publish(last)

    async def _newer_than(self, shown: FrameResult | None) -> None:
        """Waits for a newer result, but not for long."""
        self._wake.clear()
        self._wanted = True
        if self._result is shown:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WITHOUT_FRAMES_S):
                    await self._wake.wait()
        self._wanted = False

    def _moment(self, result: FrameResult | None, last: Moment | None, new_picture: bool) -> Moment:
        recent = self._history.recent()
        names, now_s = self._contract.class_names, time.monotonic()
        state = state_of(result, recent, self._health(), self._waits, names, now_s)
        number = last.number + 1 if last is not None else 1
        picture, picture_number = (last.picture, last.picture_number) if last is not None else (b"", 0)
        if result is not None and new_picture:
            picture, picture_number = self._pictures.jpeg(result, recent), picture_number + 1
        marks = tuple(self._marks()) if self._marks is not None else ()
        return Moment(number, state, recent.probabilities, self._events, picture, picture_number, marks)

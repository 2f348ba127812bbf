"""The web view: a page with the live picture and what is found in it, for machines without a display.

It is served over HTTP: few files, few connections, nothing from anywhere else.
"""

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from model.contract import ClipContract
from model.decision import DEFAULT_SENSITIVITY
from model.types import Event, FrameResult
from stream.health import Health
from stream.history import LiveHistory
from stream.screen.statement import Waits
from stream.sensitivity import sensitivity_steps
from stream.sinks.base import Sink, SinkError
from stream.sinks.marks import PlacedMark
from stream.web.access import Access, Listener
from stream.web.guarded_server import GuardedServer
from stream.web.state import NumberedEvent, ViewMoment, greeting, state_of
from stream.web.viewers import PictureMaker, Redraw, Viewers

_FOLDER = Path(__file__).parent / "page"
_LIVE = "/live"
MAX_FPS = 25.0
_WITHOUT_FRAMES_S = 1.0
"""Without new frames viewers hear so often how the run is."""
_MOST_EVENTS = 200
"""Of a run that a new viewer is told."""
_END_S = 5.0

Hello = Callable[[], Mapping[str, Any]]


class PageServer(GuardedServer):
    """The page and its WebSocket."""

    def __init__(self, access: Access, port: int, viewers: Viewers, hello: Hello) -> None:
        super().__init__(access, port, _FOLDER, [web.get(_LIVE, self._live)], lasting=_LIVE)
        self._viewers = viewers
        self._hello = hello

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self._viewers.full:
            return web.Response(status=503, text="Too many viewers: close another page first.\n")
        return await self._viewers.attend(request, self._hello())


class WebView(Sink):
    """A sink of a run: `write` only keeps the newest result, and everything else happens in one asyncio thread.

    A picture is drawn and encoded once for all viewers, at most `MAX_FPS` times a second, and only while somebody waits
    for one. Entering starts the thread, leaving tells the viewers that the run has ended and ends the thread. `history`
    has taken up every result until the one that is written; `health` can be asked from any thread, and so can `redraw`,
    which gives what is shown in place of a frame's picture, and `marks`, the last ones of an experiment. `sensitivity`: the
    run's, in false events a minute. When the thread fails, the next `write` raises `SinkError`.
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
        sensitivity: float = DEFAULT_SENSITIVITY,
    ) -> None:
        self._listener = listener
        self._contract = contract
        self._history = history
        self._health = health
        self._with_events = with_events
        self._marks = marks
        decision = contract.decision
        self._steps = sensitivity_steps(decision.curve if decision is not None else (), sensitivity)
        self._waits = Waits.of_run(contract.frames, with_events)
        self._pictures = PictureMaker(contract.class_names, self._waits, redraw)
        self._result: FrameResult | None = None
        self._events: tuple[NumberedEvent, ...] = ()
        self._told = 0
        self._wanted = False
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop, self._wake = asyncio.Event(), asyncio.Event()
        self._viewers = Viewers()
        self._thread: threading.Thread | None = None
        self._pages: PageServer | None = None

    @property
    def refused(self) -> int:
        """Requests that were not let in or were none."""
        return self._pages.refused if self._pages is not None else 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, args=(self._loop,), name="web view", daemon=True)
        self._thread.start()
        return self

    def write(self, result: FrameResult) -> None:
        self._take(result.events)
        self._result = result
        self._wake_up()

    def finish(self, events: Sequence[Event]) -> None:
        self._take(events)
        self._wake_up()

    def close(self) -> None:
        self._call(self._stop)
        if self._thread is not None:
            self._thread.join(_END_S)

    def _take(self, events: Sequence[Event]) -> None:
        if self._error is not None:
            raise SinkError(f"the web view has failed: {self._error}") from self._error
        if events:
            first = self._events[-1].number + 1 if self._events else 1
            numbered = (NumberedEvent(first + place, event) for place, event in enumerate(events))
            # One step, so that the other thread sees the old or the new ones.
            self._events = (*self._events, *numbered)[-_MOST_EVENTS:]

    def _wake_up(self) -> None:
        """There is something that viewers do not have."""
        self._told += 1
        if self._wanted:
            self._wanted = False
            self._call(self._wake)

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
        pages = self._pages = PageServer(listener.access, listener.address.port, self._viewers, self._hello)
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
        return dict(greeting(self._contract, self._health().source, span_s, self._with_events, self._steps))

    async def _make(self) -> None:
        """Moments, as long as viewers wait for them."""
        last: ViewMoment | None = None
        shown: FrameResult | None = None
        told = 0
        made_s = -math.inf
        while True:
            await self._viewers.wanted()
            await asyncio.sleep(max(0.0, made_s + 1 / MAX_FPS - time.monotonic()))
            await self._newer_than(told)
            made_s = time.monotonic()
            told, result = self._told, self._result
            last = self._moment(result, last, new_picture=result is not shown)
            shown = result
            await self._viewers.publish(last)

    async def _newer_than(self, told: int) -> None:
        """Waits for more than so much, but not for long."""
        self._wake.clear()
        self._wanted = True
        if self._told == told:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WITHOUT_FRAMES_S):
                    await self._wake.wait()
        self._wanted = False

    def _moment(self, result: FrameResult | None, last: ViewMoment | None, new_picture: bool) -> ViewMoment:
        recent = self._history.recent()
        names, now_s = self._contract.class_names, time.monotonic()
        state = state_of(result, recent, self._health(), self._waits, names, now_s, self._contract.action_units)
        number = last.number + 1 if last is not None else 1
        picture, picture_number = (last.picture, last.picture_number) if last is not None else (b"", 0)
        if result is not None and new_picture:
            picture, picture_number = self._pictures.jpeg(result, recent), picture_number + 1
        marks = tuple(self._marks()) if self._marks is not None else ()
        events, steps = self._events, self._steps
        return ViewMoment(number, state, recent.probabilities, events, picture, picture_number, marks, steps)

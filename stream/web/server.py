"""The web view: a page with the live picture and what is found in it, for machines without a display.

It is served over HTTP: few files, few connections, nothing from anywhere else.
"""

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from stream.web.access import Access, Listener, Refusal
from stream.web.state import NumberedEvent, ViewMoment, greeting, state_of
from stream.web.viewers import PictureMaker, Redraw, Viewers

_FOLDER = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MAX_CONNECTIONS = 128
_MAX_UNKNOWN_EACH = 16
"""Connections of one address that have not shown yet that they are welcome."""
_FIRST_REQUEST_S = 10.0
"""A connection that asks for nothing is closed after so long."""
_KEEP_ALIVE_S = 15.0
_CLEAN_UP_S = 0.5
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MAX_FPS = 25.0
_WITHOUT_FRAMES_S = 1.0
"""Without new frames viewers hear so often how the run is."""
_MOST_EVENTS = 200
"""Of a run that a new viewer is told."""
_END_S = 5.0

_NO_REQUEST = Refusal(400, "That is no request.")

Hello = Callable[[], Mapping[str, Any]]


@dataclass
class _Visitor:
    """A connection: from where, whether it was let in, and whether it is a viewer's."""

    address: str
    transport: asyncio.Transport
    welcome: bool = False
    views: bool = False


class _Unlogged(logging.Handler):
    """In place of a log: whoever can connect could write it full. What it was told is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


class PageServer:
    """Serves the page and its WebSocket to those whom `access` lets in. For one asyncio loop.

    Nobody can keep others out: what is refused is closed, an address has few connections that were not let in, and when
    there are too many in all, the oldest of those makes room, or else the oldest that views nothing.
    """

    def __init__(self, access: Access, port: int, viewers: Viewers, hello: Hello) -> None:
        self._access = access
        # Cookies know no ports: two runs on one machine need two names.
        self._cookie = f"microlive-{port}"
        self._viewers = viewers
        self._hello = hello
        self._visitors: dict[asyncio.BaseProtocol, _Visitor] = {}
        self._refused = 0
        self._unlogged = _Unlogged()
        self._pages = {f"/{path.name}": path for path in _FOLDER.iterdir() if path.suffix in _TYPES}
        self._pages["/"] = self._pages.pop("/index.html")

        @web.middleware
        async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
            refusal = self._refusal(request)
            if refusal is None:
                return await handler(request)
            self._refused += 1
            answer = web.Response(status=refusal.status, text=refusal.words + "\n")
            answer.force_close()
            return answer

        app = web.Application(middlewares=[guard], client_max_size=1024)
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/live", self._live)
        for name in self._pages:
            app.router.add_get(name, self._page)
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            logger=self._logger(),
            keepalive_timeout=_KEEP_ALIVE_S,
            shutdown_timeout=_CLEAN_UP_S,
        )

    async def start(self, listening: Any) -> asyncio.Server:
        """Serves on an open listening socket, which it then owns."""
        await self._runner.setup()
        return await asyncio.get_running_loop().create_server(self._connect, sock=listening)

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def refused(self) -> int:
        """Requests that were not let in or were none."""
        return self._refused + self._unlogged.count

    def _logger(self) -> logging.Logger:
        """Of this server alone: not known to `logging`, so that nobody else hears of it."""
        logger = logging.Logger("web view", logging.DEBUG)
        logger.addHandler(self._unlogged)
        return logger

    def _connect(self) -> asyncio.BaseProtocol:
        return _Door(self._admit)

    def _admit(self, transport: asyncio.Transport) -> None:
        """Hands a new connection to the server, and takes away another one where there are too many."""
        server = self._runner.server
        assert server is not None
        address = (transport.get_extra_info("peername") or ("",))[0]
        still = set(server.connections)
        here = {protocol: visitor for protocol, visitor in self._visitors.items() if protocol in still}
        own = [p for p, visitor in here.items() if visitor.address == address and not visitor.welcome]
        dropped = own[:1] if len(own) >= _MAX_UNKNOWN_EACH else []
        if not dropped and len(here) >= _MAX_CONNECTIONS:
            unknown = [p for p, visitor in here.items() if not visitor.welcome]
            dropped = (unknown or [p for p, visitor in here.items() if not visitor.views])[:1]
            if not dropped:
                transport.abort()
                return
        for protocol in dropped:
            here.pop(protocol).transport.abort()
        protocol = server()
        self._visitors = here | {protocol: _Visitor(address, transport)}
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        asyncio.get_running_loop().call_later(_FIRST_REQUEST_S, self._close_unknown, protocol)

    def _close_unknown(self, protocol: asyncio.BaseProtocol) -> None:
        visitor = self._visitors.get(protocol)
        if visitor is not None and not visitor.welcome:
            visitor.transport.abort()

    def _refusal(self, request: web.Request) -> Refusal | None:
        try:
            refusal = self._access.refusal(
                request.headers.get("Host"),
                request.headers.get("Origin"),
                request.cookies.get(self._cookie),
                request.query.get("token"),
                request.headers.get("Authorization"),
            )
        except ValueError:
            return _NO_REQUEST
        if refusal is None and (visitor := self._visitors.get(request.protocol)) is not None:
            visitor.welcome, visitor.views = True, request.path == "/live"
        return refusal

    async def _page(self, request: web.Request) -> web.Response:
        path = self._pages[request.path]
        response = web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8")
        if request.path == "/" and self._access.is_token(given := request.query.get("token")):
            # No redirect: a browser that comes from elsewhere would not send a strict cookie along with it. The page
            # takes the token out of its address itself.
            assert given is not None
            response.set_cookie(self._cookie, given, httponly=True, samesite="Strict")
        return response

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self._viewers.full:
            return web.Response(status=503, text="Too many viewers: close another page first.\n")
        return await self._viewers.attend(request, self._hello())


class _Door(asyncio.Protocol):
    """Only here is it known where a connection comes from."""

    def __init__(self, admit: Callable[[asyncio.Transport], None]) -> None:
        self._admit = admit

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._admit(transport)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


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

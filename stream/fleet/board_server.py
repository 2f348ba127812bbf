"""The board in a browser: a page with a tile for every live source, served from a thread of its own.

A browser opens few connections to one program. So a page has one question at a time, for all tiles together: it says which
pictures it has of those that can be seen, and gets the newer ones in one answer. A page that is slow asks less often.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from aiohttp import web
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from model.checked import MisfitError, checked_json
from model.errors import MicroliveError
from stream.fleet.tiles import TileBoard
from stream.sinks.base import SinkError
from stream.web.access import Listener
from stream.web.guarded_server import GuardedServer

_PAGE = Path(__file__).parent / "board"
_MOST_BYTES = 64 * 1024
_MOST_LOOKING = 16
_WAIT_S = 1.0
"""A page whose tiles are all up to date hears after so long that they are."""
_END_S = 5.0
_MOST_VISIBLE = 300


@with_config(ConfigDict(extra="forbid"))
class _Look(TypedDict):
    """What a page says: the last change it knows, the pictures it has of what can be seen, and the source it has opened."""

    since: Annotated[int, Field(ge=0, le=2**53)]
    visible: Annotated[dict[str, Annotated[int, Field(ge=0, le=2**53)]], Field(max_length=_MOST_VISIBLE)]
    opened: str | None


_LOOK = TypeAdapter(_Look)


class BoardServer:
    """A context manager: inside it the board is served on `listener`. Raises SinkError from `__exit__` when the thread failed."""

    def __init__(self, board: TileBoard, listener: Listener) -> None:
        self._board, self._listener = board, listener
        self._loop = asyncio.new_event_loop()
        self._stop, self._changed = asyncio.Event(), asyncio.Event()
        self._looking = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="board", daemon=True)
        board.on_post(self._tell)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop of a thread that has ended
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_END_S)
        if self._error is not None and kind is None:
            raise SinkError(f"the board of tiles has failed: {self._error}") from self._error

    def _work(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._error = error

    async def _serve(self) -> None:
        listener = self._listener
        routes = [web.post("/look", self._look)]
        server = GuardedServer(listener.access, listener.address.port, _PAGE, routes, most_bytes=_MOST_BYTES)
        serving = await server.start(listener.listening)
        try:
            await self._stop.wait()
        finally:
            self._wake()
            serving.close()
            await server.stop()

    def _tell(self) -> None:
        """From the thread that posts."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _look(self, request: web.Request) -> web.StreamResponse:
        """Length of a JSON text in four bytes, the text, and the pictures that it names, one after the other."""
        try:
            said = checked_json(_LOOK, await request.read())
        except MisfitError as error:
            return web.Response(status=400, text=f"That is no question: {error}\n")
        if self._looking >= _MOST_LOOKING:
            return web.Response(status=503, text="Too many pages: close another one first.\n")
        self._looking += 1
        try:
            return web.Response(body=await self._answer(said), content_type="application/octet-stream")
        finally:
            self._looking -= 1

    async def _answer(self, said: Mapping[str, Any]) -> bytes:
        board, loop = self._board, asyncio.get_running_loop()
        ends_s = loop.time() + _WAIT_S
        told: dict[str, Any] = {"failed": None}
        board.asked()
        try:
            await asyncio.to_thread(board.refresh, tuple(said["visible"]))
        except MicroliveError as error:
            told["failed"] = str(error)
        while True:
            changed = self._changed
            number, tiles, pictures = board.newer(said["since"], said["visible"])
            left_s = ends_s - loop.time()
            if tiles or left_s <= 0 or self._stop.is_set():
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), left_s)
        board.asked()
        told |= {"number": number, "tiles": tiles}
        if said["opened"] is not None:
            told["events"] = await asyncio.to_thread(board.events, said["opened"])
        text = json.dumps(told, separators=(",", ":"), default=str).encode()
        return b"".join((len(text).to_bytes(4, "big"), text, *pictures))

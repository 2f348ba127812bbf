"""The desk in a browser: what the page asks for, and what it says of events, over HTTP on this machine.

Labels are written in one thread and pictures made in another, so that neither waits for the other.
"""

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NotRequired

from aiohttp import web
from annotated_types import Interval, Len
from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from model.checked import checked_json
from model.errors import MicroliveError
from stream.labels.label_log import Fields, LabelError, check_fields
from stream.review.desk import Desk, DeskMaterial
from stream.review.footage import Footage
from stream.review.stretch import LARGEST_GAIN, REGION_NAMES, Stretch, StretchMaker, StretchMotion
from stream.session.replay import recorded_settings
from stream.sinks.base import SinkError
from stream.web.access import Listener
from stream.web.guarded_server import GuardedServer

_PAGE = Path(__file__).parent / "page"
_MOST_BYTES = 16 * 1024
_MOST_WAITING = 16
"""Requests for pictures that may wait; more are refused, and the page asks again."""
_LONGEST_S = 60.0


@with_config(ConfigDict(extra="forbid"))
class _Said(TypedDict):
    """What the page sends."""

    material: Annotated[int, Interval(ge=0)]
    event: NotRequired[Annotated[str, Len(1, 20)] | None]
    set: NotRequired[dict[str, Any]]
    format: NotRequired[Annotated[str, Len(1, 20)]]


_SAID = TypeAdapter(_Said)


class _Screening:
    """The pictures of one material, made in the pictures' thread alone."""

    def __init__(self, material: DeskMaterial) -> None:
        self._material = material
        self._footage: Footage | None = None
        self._maker: StretchMaker | None = None
        self._motion: StretchMotion | None = None
        self.missing = ""

    def close(self) -> None:
        if self._maker is not None:
            self._maker.close()

    def stretch(self, from_s: float, to_s: float) -> Stretch | None:
        """None where there are no pictures; `missing` then says so."""
        if self._maker is None and not self.missing:
            source = self._material.source
            footage = self._footage = Footage.of(source)
            if footage is None:
                self.missing = "This session was recorded without --record-source: there are no pictures to look at."
            else:
                face_at = None if source.session is None else recorded_settings(self._material.facts).face_at
                self._maker = StretchMaker(footage, face_at)
        return None if self._maker is None else self._maker.between(from_s, to_s)

    @property
    def span_s(self) -> tuple[float, float] | None:
        """From the first frame to the last one; None where there are no pictures."""
        times_s = None if self._footage is None else self._footage.times_s
        return None if times_s is None or not len(times_s) else (float(times_s.min()), float(times_s.max()))

    def motion(self, stretch: Stretch, onset_s: float) -> StretchMotion:
        kept = self._motion
        if kept is None or kept.stretch is not stretch or kept.reference != stretch.reference(onset_s):
            kept = self._motion = StretchMotion(stretch, onset_s)
        return kept


class DeskServer:
    """Serves a desk that is open, from `run` until it is cancelled."""

    def __init__(self, desk: Desk, listener: Listener) -> None:
        self._desk, self._listener = desk, listener
        self._screenings = [_Screening(material) for material in desk.materials]
        self._waiting = 0

    async def run(self) -> None:
        routes = [
            web.get("/desk", self._materials),
            web.get("/material", self._material),
            web.get("/stretch", self._stretch),
            web.get("/pictures", self._pictures),
            web.get("/sheet", self._sheet),
            web.post("/act", self._act),
            web.post("/undo", self._undo),
            web.post("/export", self._export),
        ]
        listener = self._listener
        server = GuardedServer(listener.access, listener.address.port, _PAGE, routes, most_bytes=_MOST_BYTES)
        with ExitStack() as ends:
            # Nothing that was begun is left in the middle: a line that is being written is written.
            self._labels = ends.enter_context(ThreadPoolExecutor(1, "labels"))
            self._picture_thread = ends.enter_context(ThreadPoolExecutor(1, "pictures"))
            for screening in self._screenings:
                ends.callback(screening.close)
            serving = await server.start(listener.listening)
            try:
                await asyncio.Event().wait()
            finally:
                serving.close()
                self._picture_thread.shutdown(wait=False, cancel_futures=True)
                await server.stop()

    async def _materials(self, request: web.Request) -> web.Response:
        names = [material.source.name for material in self._desk.materials]
        return web.json_response({"coder": self._desk.coder, "blind": self._desk.blind, "materials": names})

    async def _material(self, request: web.Request) -> web.Response:
        return await self._answer(self._labels, lambda: self._named(request).told())

    async def _stretch(self, request: web.Request) -> web.Response:
        def read() -> Mapping[str, Any]:
            material, (from_s, to_s) = self._named(request), _span(request)
            screening = self._screening(request)
            track = int(_number(request, "track", 0, 1e9))
            told: dict[str, Any] = {"shares": material.shares(from_s, to_s, track), "regions": REGION_NAMES}
            stretch = screening.stretch(from_s, to_s)
            if stretch is None:
                return told | {"times_s": [], "every": 1, "motion": [], "missing": screening.missing}
            motion = screening.motion(stretch, _number(request, "onset_s"))
            missing = "" if motion.reference is not None else "No face was found in these pictures."
            if not stretch.times_s:
                missing = "There are no pictures at this time."
            return told | {
                "times_s": [round(time_s, 4) for time_s in stretch.times_s],
                "every": stretch.every,
                "span_s": screening.span_s,
                "motion": motion.regions_px(),
                "missing": missing,
            }

        return await self._made(read)

    async def _pictures(self, request: web.Request) -> web.Response:
        def make() -> bytes:
            screening, (from_s, to_s) = self._screening(request), _span(request)
            stretch = screening.stretch(from_s, to_s)
            if stretch is None:
                raise LabelError(screening.missing)
            kind = request.query.get("kind")
            if kind == "picture":
                return packed(stretch.pictures)
            motion = screening.motion(stretch, _number(request, "onset_s"))
            if kind == "arrows":
                pictures, times = motion.arrows()
                return packed(pictures, {"times": times})
            if kind == "magnified":
                return packed(motion.magnified(_number(request, "gain", 1, LARGEST_GAIN)))
            if kind == "face":
                return packed(motion.magnified(1))
            raise LabelError("kind: expected picture, face, arrows or magnified")

        return await self._made(make)

    async def _sheet(self, request: web.Request) -> web.Response:
        def read() -> bytes:
            found = self._named(request).sheet(request.query.get("event", ""))
            if found is None:
                raise LabelError("there is no picture of this event")
            return found

        return await self._answer(self._labels, read, "image/png")

    async def _act(self, request: web.Request) -> web.Response:
        def act(material: DeskMaterial, said: _Said) -> Mapping[str, Any]:
            fields: Fields = check_fields(said.get("set", {}))
            if not fields:
                raise LabelError("nothing is set")
            return material.act(said.get("event"), fields)

        return await self._changed(request, act)

    async def _undo(self, request: web.Request) -> web.Response:
        return await self._changed(request, lambda material, _: material.undo())

    async def _export(self, request: web.Request) -> web.Response:
        return await self._changed(request, lambda material, said: material.export(said.get("format", "eaf")))

    async def _changed(
        self, request: web.Request, change: Callable[[DeskMaterial, _Said], Mapping[str, Any]]
    ) -> web.Response:
        """Of a page of ours alone: a browser tells where a page that sends something comes from, and asks before it sends
        JSON for another site's."""
        if request.headers.get("Origin") is None:
            return _refused(403, "only the desk's own page may change anything")
        if request.content_type != "application/json":
            return _refused(415, "expected application/json")
        body = await request.read()

        def read_and_change() -> Mapping[str, Any]:
            said = checked_json(_SAID, body)
            if said["material"] >= len(self._desk.materials):
                raise LabelError(f"there is no material {said['material']}")
            return change(self._desk.materials[said["material"]], said)

        return await self._answer(self._labels, read_and_change)

    async def _made(self, make: Callable[[], Mapping[str, Any] | bytes]) -> web.Response:
        if self._waiting >= _MOST_WAITING:
            return _refused(503, "too much is being made: ask again")
        self._waiting += 1
        try:
            return await self._answer(self._picture_thread, make)
        finally:
            self._waiting -= 1

    async def _answer(
        self,
        thread: ThreadPoolExecutor,
        make: Callable[[], Mapping[str, Any] | bytes],
        kind: str = "application/octet-stream",
    ) -> web.Response:
        try:
            made = await asyncio.get_running_loop().run_in_executor(thread, make)
        except SinkError as error:
            return _refused(507, str(error))
        except MicroliveError as error:
            return _refused(422, str(error))
        return web.Response(body=made, content_type=kind) if isinstance(made, bytes) else web.json_response(made)

    def _named(self, request: web.Request) -> DeskMaterial:
        return self._desk.materials[self._place(request)]

    def _screening(self, request: web.Request) -> _Screening:
        return self._screenings[self._place(request)]

    def _place(self, request: web.Request) -> int:
        return int(_number(request, "material", 0, len(self._desk.materials) - 1))


def packed(pictures: Sequence[bytes], told: Mapping[str, Any] | None = None) -> bytes:
    """JSON and pictures one after the other, each with its length in four bytes before it, the high one first."""
    parts = [json.dumps(told or {}).encode(), *pictures]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _refused(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)


def _number(request: web.Request, name: str, least: float = -1e12, most: float = 1e12) -> float:
    text = request.query.get(name, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise LabelError(f"{name}: expected a number from {least:g} to {most:g}, found {text[:20]!r}")
    return value


def _span(request: web.Request) -> tuple[float, float]:
    from_s, to_s = _number(request, "from_s"), _number(request, "to_s")
    if not 0 < to_s - from_s <= _LONGEST_S:
        raise LabelError(f"expected a stretch of up to {_LONGEST_S:g} s, found {from_s:g} to {to_s:g}")
    return from_s, to_s

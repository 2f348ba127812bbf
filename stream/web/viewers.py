"""Those who watch the web view: what each of them still has to be sent, and the picture that all of them see.

A viewer has no queue: it says when it has shown a picture, and is then sent the newest one, whatever it has missed.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from aiohttp import WSCloseCode, web

from model.types import FrameResult, Image
from stream.history import Recent
from stream.screen.face_marks import draw_faces
from stream.screen.layout import font_size
from stream.screen.paint import TextPainter, class_colours
from stream.screen.statement import Waits
from stream.web.state import ViewMoment, pack

MAX_VIEWERS = 16
_ON_THE_WAY = 2
"""So many moments are sent ahead of a viewer's word that it has shown them, so that the line is never empty."""
HEARTBEAT_S = 20.0
"""A viewer that does not answer for so long is let go."""
_GOODBYE_S = 0.5
_LONGEST_WORD = 64
"""Viewers send nothing but an empty acknowledgement."""
LONGEST_SIDE_PX = 960
_JPEG_QUALITY = 80
_LARGEST_FACTOR = 0.045
"""Letters no smaller than this share of a picture that a phone shows small."""

Redraw = Callable[[Image], Image]
"""A new picture of the same size in place of a frame's own."""


class Viewer:
    """One connection: what it has been sent and how much of that it has not acknowledged."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.since_s = -math.inf
        self.events_number = self.picture_number = 0
        self._on_the_way = 0
        self._ready = asyncio.Event()
        self._ready.set()

    def acknowledge(self) -> None:
        self._on_the_way = max(0, self._on_the_way - 1)
        self._ready.set()

    async def ready(self) -> None:
        """Waits until it may be sent another moment."""
        await self._ready.wait()

    def message(self, moment: ViewMoment) -> bytes:
        """What it lacks of the moment, which counts as sent from now on."""
        message = moment.message(self.since_s, self.events_number, self.picture_number)
        self.number, self.since_s = moment.number, moment.newest_s
        self.events_number, self.picture_number = moment.events_number, moment.picture_number
        self._on_the_way += 1
        if self._on_the_way >= _ON_THE_WAY:
            self._ready.clear()
        return message


class Viewers:
    """For one asyncio loop. Hands the newest moment to every viewer that is ready for it; a slow one only makes itself wait."""

    def __init__(self, most: int = MAX_VIEWERS) -> None:
        self._most = most
        self._changed = asyncio.Condition()
        self._newest: ViewMoment | None = None
        self._waiting: set[Viewer] = set()
        self._sockets: set[web.WebSocketResponse] = set()

    def __len__(self) -> int:
        return len(self._sockets)

    @property
    def full(self) -> bool:
        return len(self._sockets) >= self._most

    async def wanted(self) -> None:
        """Waits until a viewer is ready for a moment that is not there yet."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) > 0)

    async def publish(self, moment: ViewMoment) -> None:
        async with self._changed:
            self._newest = moment
            # They have what they waited for, even if they have not woken up yet.
            self._waiting.clear()
            self._changed.notify_all()

    async def attend(self, request: web.Request, hello: Mapping[str, Any]) -> web.WebSocketResponse:
        """A viewer from its first word to its last."""
        page = web.WebSocketResponse(
            timeout=_GOODBYE_S, heartbeat=HEARTBEAT_S, compress=False, max_msg_size=_LONGEST_WORD
        )
        self._sockets.add(page)
        try:
            await page.prepare(request)
            viewer = Viewer(self._newest.number if self._newest is not None else 0)
            sender = asyncio.create_task(self._send(page, viewer, hello))
            try:
                async for _ in page:
                    viewer.acknowledge()
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
        finally:
            self._sockets.discard(page)
        return page

    async def dismiss(self) -> None:
        """Tells every viewer that the run has ended; those who do not listen are left."""
        await asyncio.gather(*(self._dismiss(page) for page in tuple(self._sockets)), return_exceptions=True)

    async def _dismiss(self, page: web.WebSocketResponse) -> None:
        async with asyncio.timeout(_GOODBYE_S):
            await page.close(code=WSCloseCode.GOING_AWAY, message=b"ended")

    async def _send(self, page: web.WebSocketResponse, viewer: Viewer, hello: Mapping[str, Any]) -> None:
        await page.send_bytes(pack(hello))
        while True:
            await viewer.ready()
            moment = await self._next_for(viewer)
            await page.send_bytes(viewer.message(moment))

    async def _next_for(self, viewer: Viewer) -> ViewMoment:
        async with self._changed:
            while self._newest is None or self._newest.number <= viewer.number:
                self._waiting.add(viewer)
                self._changed.notify_all()
                try:
                    await self._changed.wait()
                finally:
                    self._waiting.discard(viewer)
            return self._newest


class PictureMaker:
    """For one thread. Bars, chart and words are the page's own; only what belongs to a place in the picture is drawn.

    `redraw` gives a new picture of the same size to be shown in place of a frame's own.
    """

    def __init__(self, class_names: Sequence[str], waits: Waits, redraw: Redraw | None = None) -> None:
        self._redraw: Redraw = redraw if redraw is not None else np.copy
        self._colours = class_colours(class_names)
        self._waits = waits
        self._text = TextPainter()

    def jpeg(self, result: FrameResult, recent: Recent) -> bytes:
        """The frame itself is left as it is. No side is longer than `LONGEST_SIDE_PX`."""
        image = self._redraw(result.frame.image)
        height, width = image.shape[:2]
        font_px = max(font_size(width, height), round(_LARGEST_FACTOR * min(width, height)))
        draw_faces(image, result, recent, self._waits, self._colours, self._text, font_px, ())
        scale = LONGEST_SIDE_PX / max(width, height)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            # Averaging areas costs three times as much, and only shows where several pixels become one.
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale <= 0.5 else cv2.INTER_LINEAR)
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
        return np.asarray(data).tobytes()

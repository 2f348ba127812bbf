"""The overlay as a video that plays at the source's true speed."""

import math
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.atomic import target_of
from model.types import Event, FrameResult
from stream.health import Health
from stream.history import LiveHistory
from stream.picture_limits import PictureQueue
from stream.screen.overlay import Overlay
from stream.sinks.base import Sink, SinkError, open_own, reason
from stream.sources.file import ffmpeg_name

DEFAULT_FPS = 30.0
MAX_FPS = 240.0
"""Files with an uneven rate give their time base, often 1000 or 90000, for a frame rate."""
MAX_HOLD_S = 60.0
"""A longer jump of the timestamps is taken for a clock that was set anew, not for time that passed."""
TICKS_HZ = 90000
"""Times in the file are whole numbers of these: fine enough for every frame's own time, and a whole number of them goes
into each frame of the usual rates."""
MIN_FREE_BYTES = 16 * 1024 * 1024
"""The recording leaves so much room to the rows, which matter more."""
_CODEC = "libx264"
_CODEC_OPTIONS: dict[str, object] = {"preset": "superfast", "tune": "zerolatency", "crf": "20"}
_KEYFRAME_EVERY = 15
_FRAGMENTED = {"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"}


class RecordSink(Sink):
    """Draws and encodes in a thread of its own, behind a queue of `capacity` results, fewer of large pictures.

    Every frame is in the file, at its own time, so that a source with an uneven rate plays at its true speed. The last
    one lasts one frame of the rate `fps` (30 where that is None or no camera's rate).
    With `block` (files) `write` waits for the thread and nothing is lost; without it (live) a result that finds the
    queue full is counted in `dropped` and left out. `overlay` and `history` belong to this recorder alone.

    H.264 in fragments of one picture, handed to the system when the next one comes: what was recorded can be played
    while it is written, and after a run that was killed. A file that is there is written over with the first frame. Raises
    `SinkError` when the file cannot be made (at construction, from the first `write` for the encoder) or cannot take more
    (from a later `write` or from `close`).
    """

    def __init__(
        self,
        path: Path | str,
        overlay: Overlay,
        history: LiveHistory,
        health: Callable[[], Health],
        fps: float | None = None,
        block: bool = True,
        capacity: int = 8,
    ) -> None:
        self.path = Path(path)
        self.fps = fps if fps is not None and 1 <= fps <= MAX_FPS else DEFAULT_FPS
        self._frame_ticks = max(1, round(TICKS_HZ / self.fps))
        self.dropped = 0
        self.frames_written = 0
        self._overlay, self._history, self._health = overlay, history, health
        self._block = block
        self._size_px: tuple[int, int] | None = None
        self._file: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._error: SinkError | None = None
        self._last_events: Sequence[Event] = ()
        self._queue = PictureQueue(capacity)
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._closed = False
        if self.path.suffix.lower() != ".mp4":
            raise SinkError(f"cannot write the video {self.path}: the name must end in .mp4")
        self._existed = self.path.exists()
        # The encoder opens the file for itself; this keeps it from other runs.
        self._own = open_own(self.path, "video")

    def write(self, result: FrameResult) -> None:
        if self._closed:
            raise ValueError(f"the recorder of {self.path} is closed")
        if self._error is not None:
            raise self._error
        if self._file is None:
            self._open(result.frame.image)
        if self._block:
            self._queue.put(result)
            return
        try:
            self._queue.put_nowait(result)
        except queue.Full:
            self.dropped += 1

    def finish(self, events: Sequence[Event]) -> None:
        """The last picture is drawn with them."""
        self._last_events = events

    @property
    def losses(self) -> Mapping[str, int]:
        return {"recorder": self.dropped}

    def close(self) -> None:
        """Encodes what is queued and closes the file; a recording without a frame leaves none."""
        if self._closed:
            return
        self._closed = True
        if self._file is not None:
            self._queue.put(None)
            self._thread.join()
        if not self.frames_written and not self._existed:
            target_of(self.path).unlink(missing_ok=True)
        self._own.close()
        if self._error is not None:
            raise self._error

    def _open(self, image: NDArray[np.uint8]) -> None:
        self._require_room()
        height, width = image.shape[:2]
        # The codec halves the chroma planes: it takes even sizes only.
        self._size_px = (max(2, width & ~1), max(2, height & ~1))
        try:
            self._file = av.open(ffmpeg_name(self.path), "w", format="mp4", options=_FRAGMENTED)
            stream = self._file.add_stream(_CODEC, rate=Fraction(self.fps).limit_denominator(10000))
        except (OSError, FFmpegError, ValueError) as error:
            raise SinkError(f"cannot write the video {self.path}: {_why(error)}") from error
        stream.width, stream.height = self._size_px
        stream.pix_fmt, stream.gop_size = "yuv420p", _KEYFRAME_EVERY
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS_HZ)
        stream.options = _CODEC_OPTIONS
        # The stages of the run need the other cores.
        stream.codec_context.thread_count = 1
        self._stream = stream
        self._thread.start()

    def _work(self) -> None:
        results = iter(self._queue.get, None)
        try:
            self._record(results)
        except SinkError as error:
            self._error = error
        except Exception as error:  # whatever it is, it must reach the thread that writes, as an error of this sink
            self._error = SinkError(f"cannot write the video {self.path}: {_why(error)}")
            self._error.__cause__ = error
        for _ in results:
            pass  # empties the queue until the end, so that nobody waits for a place in it
        self._finish()

    def _record(self, results: Iterator[FrameResult]) -> None:
        timeline = SteadyClock(TICKS_HZ, step_s=1 / self.fps)
        pending: FrameResult | None = None
        place = -1
        for result in results:
            # A picture is drawn when the next one comes: only then is it known that it is not the last, and how long it
            # is shown. Of two frames for the same time the second comes a tick later.
            next_place = max(place + 1, timeline.place(result.frame.time_s))
            if pending is not None:
                self._emit(pending, place, next_place - place)
            self._history.record(result)
            pending, place = result, next_place
        if pending is not None:
            self._history.finish(self._last_events)
            self._emit(pending, place, self._frame_ticks)

    def _emit(self, result: FrameResult, place: int, lasts: int) -> None:
        """The next picture, `place` ticks after the first, for so many ticks."""
        assert self._size_px is not None
        self._require_room()
        picture = _fit(self._overlay.draw(result, self._history, self._health()), self._size_px)
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts, frame.time_base = place, Fraction(1, TICKS_HZ)
        self._encode(frame, lasts)
        self.frames_written += 1

    def _require_room(self) -> None:
        if shutil.disk_usage(self.path.parent).free < MIN_FREE_BYTES:
            raise SinkError(f"cannot write the video {self.path}: the disk is full")

    def _encode(self, frame: av.VideoFrame | None, lasts: int = 0) -> None:
        """None: what the encoder still holds, which is nothing with the options it has."""
        assert self._file is not None and self._stream is not None
        for packet in self._stream.encode(frame):
            packet.duration = lasts
            self._file.mux(packet)

    def _finish(self) -> None:
        """What was recorded before an error is kept."""
        assert self._file is not None
        try:
            if self.frames_written:
                self._encode(None)
            self._file.close()
        except (OSError, FFmpegError) as error:
            if self._error is None:
                self._error = SinkError(f"cannot finish the video {self.path}: {_why(error)}")


def _why(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error)


class SteadyClock:
    """Turns timestamps into numbers of ticks of a constant rate; the first time is tick 0. `step_s`: how far time goes on
    where it ran backwards or jumped; None for one tick."""

    def __init__(self, rate_hz: float, max_hold_s: float = MAX_HOLD_S, step_s: float | None = None) -> None:
        self._rate_hz = rate_hz
        self._max_hold_s = max_hold_s
        self._step_s = 1 / rate_hz if step_s is None else step_s
        self._origin_s = math.nan
        self._last_s = math.nan

    def place(self, time_s: float) -> int:
        """The tick with which the picture of `time_s` begins."""
        if math.isnan(self._last_s):
            self._origin_s = time_s
        elif not 0 <= time_s - self._last_s <= self._max_hold_s:
            self._origin_s += time_s - self._last_s - self._step_s
        self._last_s = time_s
        return round((time_s - self._origin_s) * self._rate_hz)


def _fit(image: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture in a video of (width, height): an odd edge is cut off, another size is scaled, with black bars."""
    width, height = size_px
    if image.shape[0] - height in (0, 1) and image.shape[1] - width in (0, 1):
        return np.ascontiguousarray(image[:height, :width])
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    framed: NDArray[np.uint8] = np.zeros((height, width, 3), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    framed[y : y + inner[1], x : x + inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
    return framed

"""The pictures of a run, kept so that the run can be done again: lossless, each with its own time."""

import queue
import shutil
import threading
from collections.abc import Callable

import cv2

from model.guards import shown
from model.types import FrameResult, Image
from stream.picture_limits import PictureQueue
from stream.session.session_folder import SessionFolder
from stream.sinks.base import LineFile, Sink, SinkError, reason
from stream.sinks.video import DEFAULT_FPS, MAX_FPS
from stream.sources.file import ffmpeg_name, is_utf8

HEADER = "frame,time_s,restart,part,width,height"
LOSSLESS = "HFYU"
"""HuffYUV in Matroska: every picture on its own, bit for bit, at a fifth of FFV1's time and a third more room. A process
that is killed loses the last two or three pictures; AVI would keep a torn one, FFV1 loses up to half a second."""
DRAWINGS = "MJPG"
"""For pictures that nobody replays."""
MIN_FREE_BYTES = 64 * 1024 * 1024
_WAITING = 16


class SourceRecorder(Sink):
    """A sink: the pictures of all results, encoded in a thread of their own, and `times.csv` with a row for each.

    A replay needs every picture, so `write` waits when the encoder cannot keep up; a live source then loses frames before
    they are analysed, and counts them. `draw` gives what is kept in a picture's place (landmarks): such recordings do not
    replay, are not lossless, and leave pictures out rather than wait (counted in `dropped`). Raises `SinkError` from
    `write` or `close`.
    """

    def __init__(self, folder: SessionFolder, fps: float | None, draw: Callable[[Image], Image] | None = None) -> None:
        self.frames = 0
        self.dropped = 0
        self._folder = folder
        self._fps = fps if fps is not None and 1 <= fps <= MAX_FPS else DEFAULT_FPS
        self._draw = draw
        self._size_px: tuple[int, int] | None = None
        self._part = 0
        self._writer: cv2.VideoWriter | None = None
        self._error: SinkError | None = None
        self._closed = False
        self._queue = PictureQueue(_WAITING)
        try:
            folder.recording.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make the folder {folder.recording}: {reason(error)}") from error
        self._times = LineFile(folder.times, "times of the recording")
        self._times.write(f"{HEADER}\n")
        self._thread = threading.Thread(target=self._work, name="source recorder", daemon=True)
        self._thread.start()

    def write(self, result: FrameResult) -> None:
        if self._error is not None:
            raise self._error
        if self._draw is None:
            self._queue.put(result)
            return
        try:
            self._queue.put_nowait(result)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Encodes what waits and closes the files."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        if self._writer is not None:
            self._writer.release()
        if self._error is not None:
            self._times.abandon()
            raise self._error
        self._times.close()

    def _work(self) -> None:
        for result in iter(self._queue.get, None):
            if self._error is None:
                try:
                    self._keep(result)
                except SinkError as error:
                    self._error = error
                except Exception as error:  # whatever it is, it must reach the thread that writes
                    self._error = SinkError(f"cannot write the recording {self._folder.recording}: {error}")
                    self._error.__cause__ = error

    def _keep(self, result: FrameResult) -> None:
        if shutil.disk_usage(self._folder.recording).free < MIN_FREE_BYTES:
            # The encoder itself says nothing when it cannot write.
            raise SinkError(f"cannot write the recording {self._folder.recording}: the disk is full")
        image = result.frame.image if self._draw is None else self._draw(result.frame.image)
        height, width = image.shape[:2]
        # OpenCV cuts odd sizes: the picture gets a border, which the replay takes off again.
        if width % 2 or height % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        size_px = (image.shape[1], image.shape[0])
        if self._writer is None or size_px != self._size_px:
            self._writer = self._next_part(size_px)
        self._writer.write(image)
        self.frames += 1
        frame = result.frame
        # The time in full: a replay must see the very same number.
        self._times.write(f"{frame.index},{frame.time_s!r},{int(frame.restart)},{self._part},{width},{height}\n")

    def _next_part(self, size_px: tuple[int, int]) -> cv2.VideoWriter:
        if self._writer is not None:
            self._writer.release()
        self._part += 1
        self._size_px = size_px
        path = self._folder.part(self._part)
        if not is_utf8(path):
            # OpenCV ends the process.
            raise SinkError(f"cannot write the recording {shown(str(path))}: its name is no UTF-8; give another folder")
        codec = LOSSLESS if self._draw is None else DRAWINGS
        writer = cv2.VideoWriter(ffmpeg_name(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), self._fps, size_px)
        if not writer.isOpened():
            raise SinkError(
                f"cannot write the recording {path}: OpenCV has no {codec} encoder for {size_px[0]}x{size_px[1]}"
            )
        return writer

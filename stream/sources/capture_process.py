"""The program's end of the capture process."""

import contextlib
import os
import subprocess
import sys
import threading
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from model.types import Image
from stream.sources.frame_ring import RingReader, shared_file
from stream.sources.messages import FreeSlot, Message, Order, Picture
from stream.sources.reading import CaptureError

_ROOT = Path(__file__).resolve().parent.parent.parent
_CHILD = "stream.sources.capture_child"
_DECODER = {
    # FFmpeg's log has a switch of its own. A picture must come out as soon as it is in.
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay",
    "OPENCV_LOG_LEVEL": "SILENT",
    # What a damaged picture claims to be would fill the memory: no camera has a hundred megapixels.
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(100_000_000),
}
_LAST_WAIT_S = 2.0


class CaptureProcess:
    """A process that reads a camera or a stream, started on construction and ended by `kill`.

    In a session of its own, so that Ctrl-C reaches the program only, which then ends it. Addresses go through the
    connection, never through the command line, which everybody on the machine can read.
    """

    def __init__(self) -> None:
        ours, theirs = Pipe()
        memory = shared_file()
        self._ring = RingReader(memory)
        self._connection: Connection = ours
        self._sending = threading.Lock()
        path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH")) if part)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD, str(theirs.fileno()), str(memory)],
                pass_fds=(theirs.fileno(), memory),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={**_DECODER, **os.environ, "PYTHONPATH": path},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, order: Order) -> None:
        """From any thread; to a process that has ended it is lost, which `receive` will tell."""
        with self._sending, contextlib.suppress(OSError):
            self._connection.send(order)

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, None when there is none for so long. CaptureError when the process has ended."""
        try:
            return self._connection.recv() if self._connection.poll(max(0.0, timeout_s)) else None
        except (EOFError, OSError):
            raise CaptureError(self._death()) from None

    def copy(self, picture: Picture) -> Image:
        """A copy of a picture that it has placed; its slot is free again. Also when the process has ended since."""
        image = self._ring.read(picture.offset, picture.shape)
        self.release(picture)
        return image

    def release(self, picture: Picture) -> None:
        """The picture is not wanted."""
        self.send(FreeSlot(picture.slot))

    def kill(self) -> None:
        """Ends it whatever it does; from any thread, more than once."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            # In a driver that hangs, not even the kernel can end it.
            self._process.wait(_LAST_WAIT_S)

    def close(self) -> None:
        """Ends it and gives the connection back; by the thread that receives."""
        self.kill()
        with self._sending:
            self._connection.close()

    def _death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_WAIT_S)
        code = self._process.returncode
        return f"the capture process was ended by signal {-code}" if code and code < 0 else "the capture process ended"

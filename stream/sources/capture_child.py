"""The capture process: reads one camera or stream at a time and places its pictures in shared memory.

A native read that hangs cannot be broken off, but a process can be ended. `python -m stream.sources.capture_child
CONNECTION MEMORY`, two file descriptors; orders and pictures are `stream.sources.capture_protocol`. It ends when the program
that started it does, however that ends: the connection is closed then.
"""

import os
import queue
import sys
import threading
from multiprocessing.connection import Connection

import cv2

from stream.sources.capture_protocol import (
    SLOTS,
    Captured,
    CapturedPicture,
    CaptureError,
    Damaged,
    FreeSlot,
    Lost,
    Opened,
    OpenOrder,
    Order,
    Reader,
    Ready,
    RingWriter,
    TooLargeError,
)
from stream.sources.mjpeg_reader import open_mjpeg
from stream.sources.opencv_reader import OpenCvReader

_HTTP = ("http://", "https://")


class Capture:
    """Carries out orders, one after the other."""

    def __init__(self, connection: Connection, memory: int) -> None:
        self._connection = connection
        self._ring = RingWriter(memory)
        self._orders: queue.Queue[OpenOrder] = queue.Queue()
        self._free: queue.Queue[int] = queue.Queue()
        for slot in range(SLOTS):
            self._free.put(slot)

    def run(self) -> None:
        """Never comes back: the process ends with the connection."""
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        self._connection.send(Ready())
        while True:
            self._connection.send(self._carry_out(self._orders.get()))

    def _listen(self) -> None:
        try:
            while True:
                order: Order = self._connection.recv()
                if isinstance(order, FreeSlot):
                    self._free.put(order.slot)
                else:
                    self._orders.put(order)
        except (EOFError, OSError):
            # The main thread may hang in a native call.
            os._exit(0)

    def _carry_out(self, order: OpenOrder) -> Lost:
        try:
            reader = open_reader(order)
            told = False
            for found in reader.pictures():
                if isinstance(found, Damaged):
                    self._connection.send(found)
                    continue
                if not told:
                    told = True
                    height, width = found.image.shape[:2]
                    self._connection.send(Opened(width, height, reader.fps, reader.live, reader.frames))
                self._place(found, reader.live)
        except CaptureError as error:
            return Lost(str(error), too_large=isinstance(error, TooLargeError))
        except Exception as error:
            # Its words could repeat the address.
            what = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            return Lost(f"the capture process failed: {what}")
        return Lost("the stream has ended", ended=True)

    def _place(self, found: Captured, live: bool) -> None:
        """Of a live source, a picture for which there is no slot is left out; a file waits for one."""
        try:
            slot = self._free.get(block=not live)
        except queue.Empty:
            return
        offset = self._ring.write(slot, found.image)
        height, width, channels = found.image.shape
        self._connection.send(
            CapturedPicture(
                slot, offset, (height, width, channels), found.index, found.media_s, found.captured_s, found.decode_ms
            )
        )


def open_reader(order: OpenOrder) -> Reader:
    """Raises CaptureError when it cannot be opened."""
    if isinstance(order.target, str) and order.target.lower().startswith(_HTTP):
        reader = open_mjpeg(order.target, max(order.open_timeout_s, order.read_timeout_s))
        if reader is not None:
            return reader
    return OpenCvReader(order)


def main() -> None:
    cv2.setNumThreads(1)
    Capture(Connection(int(sys.argv[1])), int(sys.argv[2])).run()


if __name__ == "__main__":
    main()

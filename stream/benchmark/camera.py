"""A network camera that can be made to fail: JPEG pictures over HTTP on the loopback, as many IP cameras serve them.

It shows the demo's face at 640x480 with a number that a program can read, and runs as a process of its own too, so that
sending costs the program nothing but the processor:
`python -m stream.benchmark.camera RATE_HZ PICTURES` prints its URL, serves until its input ends, then prints the
monotonic clock at which each picture was sent, in order, as JSON.
"""

import contextlib
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, get_args

import cv2
import numpy as np

from model.types import Image
from stream.sources.demo import DemoSource

Fault = Literal[
    "close",
    "gone",
    "silent",
    "stall",
    "truncate",
    "garbage_between",
    "garbage_inside",
    "resize",
    "grow",
    "uneven",
]
"""close: every connection is closed, new ones at once. gone: as if the machine were off, connections are refused.
silent: connections are accepted, then nothing comes. stall: headers come, pictures do not. truncate: every picture ends
in the middle. garbage: random bytes between the pictures or in the middle of each. resize: pictures of another size.
grow: every picture is larger than the one before.
uneven: intervals of 0.2 to 1.8 times the usual one."""

FAULTS: tuple[Fault, ...] = get_args(Fault)
SIZE_PX = (640, 480)
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
_BOUNDARY = b"--frame\r\nContent-Type: image/jpeg\r\n"
_GARBAGE_BYTES = 60
# A picture's number: a row of squares in its bottom left, the lowest bit first.
_BITS = 12
_SQUARE_PX = 16
_DARK, _BRIGHT = 32, 224
_MAX_PICTURES = 1 << _BITS


class FaultServer:
    """Serves `picture(0)`, `picture(1)`, … to every client from the start, one every `interval_s`; None ends the
    connection. `resized` gives the pictures of another size, `grown` those that grow, from 0 at each fault. `on_send` hears of every picture just before it is sent.

    `url` does not change, whatever `fault` is switched on. A context manager; its threads end with it.
    """

    def __init__(
        self,
        picture: Callable[[int], bytes | None],
        interval_s: float = 1 / 30,
        resized: Callable[[int], bytes | None] | None = None,
        grown: Callable[[int], bytes | None] | None = None,
        on_send: Callable[[int], None] | None = None,
        seed: int = 0,
    ) -> None:
        self._picture, self._resized, self._grown = picture, resized or picture, grown or picture
        self._interval_s = interval_s
        self._on_send = on_send
        self._rng = random.Random(seed)
        self._stopped = threading.Event()
        self._switched = threading.Condition()
        self._fault: Fault | None = None
        self._clients: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = self._listen(0)
        self._port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="accept", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/stream.mjpg"

    @property
    def fault(self) -> Fault | None:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        with self._switched:
            self._fault = fault
            if fault == "gone":
                # Shut down first: a thread that waits in accept() holds the socket open otherwise.
                with contextlib.suppress(OSError):
                    self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
            elif self._listener.fileno() < 0:
                self._listener = self._listen(self._port)
            if fault in ("close", "gone"):
                for client in self._clients:
                    with contextlib.suppress(OSError):
                        client.shutdown(socket.SHUT_RDWR)
            self._switched.notify_all()

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self.fault = "gone"
        for thread in (self._accepting, *self._threads):
            thread.join()

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port))

    def _accept(self) -> None:
        while not self._stopped.is_set():
            with self._switched:
                self._switched.wait_for(lambda: self._stopped.is_set() or self._listener.fileno() >= 0)
                listener = self._listener
            try:
                client, _ = listener.accept()
            except OSError:
                continue
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=self._serve, args=(client,), name="client", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            with self._switched:
                if self._fault in ("close", "gone"):
                    return
                self._clients.add(client)
            try:
                client.recv(65536)
                self._wait_while("silent")
                client.sendall(_HEAD)
                self._send_pictures(client)
            finally:
                with self._switched:
                    self._clients.discard(client)

    def _send_pictures(self, client: socket.socket) -> None:
        number, grown, due_s = 0, 0, time.monotonic()
        while not self._stopped.is_set():
            self._wait_while("silent", "stall")
            fault = self._fault
            picture = (self._resized if fault == "resize" else self._picture)(number)
            if fault == "grow":
                picture = self._grown(grown)
            grown = grown + 1 if fault == "grow" else 0
            if picture is None:
                return
            due_s += self._interval_s * (self._rng.uniform(0.2, 1.8) if fault == "uneven" else 1.0)
            # What was held up is not made up for.
            due_s = max(due_s, time.monotonic() - self._interval_s)
            if self._stopped.wait(max(0.0, due_s - time.monotonic())):
                return
            if self._on_send is not None:
                self._on_send(number)
            client.sendall(self._part(picture, fault))
            number += 1

    def _part(self, picture: bytes, fault: Fault | None) -> bytes:
        half = len(picture) // 2
        garbage = self._rng.randbytes(_GARBAGE_BYTES)
        if fault == "truncate":
            picture = picture[:half]
        elif fault == "garbage_inside":
            picture = picture[:half] + garbage + picture[half:]
        before = garbage if fault == "garbage_between" else b""
        return before + _BOUNDARY + b"Content-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n"

    def _wait_while(self, *faults: Fault) -> None:
        with self._switched:
            self._switched.wait_for(lambda: self._stopped.is_set() or self._fault not in faults)


def camera_pictures(count: int, size_px: tuple[int, int] = SIZE_PX) -> list[bytes]:
    """JPEGs of the demo there and back, so that they can be shown over and over; numbered from 0 in their bottom left."""
    if not 2 <= count <= _MAX_PICTURES:
        raise ValueError(f"count: expected 2 to {_MAX_PICTURES}, found {count}")
    forth: list[Image] = []
    with DemoSource("fast") as source:
        for frame in source:
            forth.append(_fitted(frame.image, size_px))
            if len(forth) == count // 2 + 1:
                break
    images = [*forth, *forth[-2:0:-1]]
    return [_encoded(image, number) for number, image in enumerate(images[:count])]


def read_number(image: Image) -> int:
    """The number of a picture of any size, decoded from JPEG."""
    row = image.shape[0] - _SQUARE_PX // 2
    columns = _SQUARE_PX * np.arange(_BITS) + _SQUARE_PX // 2
    bits = image[row, columns].mean(axis=1) > (_DARK + _BRIGHT) / 2
    return int(sum(1 << place for place, bit in enumerate(bits) if bit))


def _fitted(image: Image, size_px: tuple[int, int]) -> Image:
    """The square picture of the demo in the middle."""
    width, height = size_px
    canvas = np.full((height, width, 3), 90, np.uint8)
    left = (width - height) // 2
    canvas[:, left : left + height] = cv2.resize(image, (height, height), interpolation=cv2.INTER_AREA)
    return canvas


def _encoded(image: Image, number: int) -> bytes:
    image = image.copy()
    for place in range(_BITS):
        value = _BRIGHT if number >> place & 1 else _DARK
        image[-_SQUARE_PX:, place * _SQUARE_PX : (place + 1) * _SQUARE_PX] = value
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def main() -> None:
    rate_hz, count = float(sys.argv[1]), int(sys.argv[2])
    pictures = camera_pictures(count)
    sent_s: list[float] = []
    with FaultServer(
        lambda number: pictures[number % count],
        1 / rate_hz,
        on_send=lambda _: sent_s.append(time.monotonic()),
    ) as server:
        print(server.url, flush=True)
        sys.stdin.read()
    print(json.dumps(sent_s))


if __name__ == "__main__":
    main()

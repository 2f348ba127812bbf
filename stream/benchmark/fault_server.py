"""A network camera that can be made to fail: JPEG pictures over HTTP on the loopback, as many IP cameras serve them."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, get_args

Fault = Literal[
    "close",
    "gone",
    "silent",
    "stall",
    "truncate",
    "garbage_between",
    "garbage_inside",
    "resize",
    "uneven",
]
"""close: every connection is closed, new ones at once. gone: as if the machine were off, connections are refused.
silent: connections are accepted, then nothing comes. stall: headers come, pictures do not. truncate: every picture ends
in the middle. garbage: random bytes between the pictures or in the middle of each. resize: pictures of another size.
uneven: intervals of 0.2 to 1.8 times the usual one."""

FAULTS: tuple[Fault, ...] = get_args(Fault)
_BOUNDARY = b"--frame\r\nContent-Type: image/jpeg\r\n"
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
_GARBAGE_BYTES = 60


class FaultServer:
    """Serves `picture(0)`, `picture(1)`, … to every client from the start, one every `interval_s`; None ends the
    connection. `resized` gives the pictures of another size. `on_send` hears of every picture just before it is sent.

    `url` does not change, whatever `fault` is switched on. A context manager; its threads end with it.
    """

    def __init__(
        self,
        picture: Callable[[int], bytes | None],
        interval_s: float = 1 / 30,
        resized: Callable[[int], bytes | None] | None = None,
        on_send: Callable[[int], None] | None = None,
        seed: int = 0,
    ) -> None:
        self._picture, self._resized = picture, resized or picture
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
        number, due_s = 0, time.monotonic()
        while not self._stopped.is_set():
            self._wait_while("silent", "stall")
            fault = self._fault
            picture = (self._resized if fault == "resize" else self._picture)(number)
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

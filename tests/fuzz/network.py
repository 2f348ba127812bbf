"""The other end of the network: a camera that serves mutated bytes, and an experiment that sends mutated datagrams."""

import contextlib
import random
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated

_PICTURES = 12
_TYPES = ("multipart/x-mixed-replace; boundary=frame", "image/jpeg", "multipart/", "text/html", "video/mp4", "", "\x00")
_PIECE_BYTES = 8192
_BETWEEN_PIECES_S = 0.004
_BETWEEN_MARKS_S = 0.03


def stream_bytes(jpegs: Sequence[bytes], rng: Random, damage: bool) -> tuple[bytes, str]:
    """All that a camera sends to a client: the answer's head and a dozen pictures; one part of it mutated."""
    what = rng.choice(("head", "pictures", "parts", "all", "endless part", "chunked")) if damage else "none"
    kind = rng.choice(_TYPES) if what == "head" and rng.random() < 0.5 else _TYPES[0]
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n".encode()
    how = f"type {kind!r}"
    if what == "head":
        head += rng.choice(
            (b"", b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n", b"Location: /\r\n")
        )
        head, how = mutated(head, rng) if rng.random() < 0.7 else (head, how)
    parts: list[bytes] = []
    for number in range(_PICTURES):
        picture = jpegs[number % len(jpegs)]
        if what == "pictures" and rng.random() < 0.5:
            picture, how = mutated(picture, rng)
        part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n"
        if what == "parts" and rng.random() < 0.5:
            part, how = mutated(part, rng)
        parts.append(part)
    body = b"".join(parts)
    if what == "endless part":
        body = body[: len(parts[0])] + jpegs[0][:200] + bytes(200_000)
    if what == "chunked":
        head += b"Transfer-Encoding: chunked\r\n"
        size = rng.choice((b"%x" % len(parts[0]), b"ffffffffffffffff", b"-5", b"zz", b""))
        body = b"".join(size + b"\r\n" + part + b"\r\n" for part in parts)
    data = head + b"\r\n" + body
    if what == "all":
        data, how = mutated(data, rng)
    return data, f"{what}: {how}"


@dataclass(frozen=True)
class StreamServer:
    """Serves the bytes of a file to whoever connects, in pieces, and closes the connection. `{url}` is its address."""

    name: str

    @contextmanager
    def __call__(self, folder: Path) -> Iterator[Mapping[str, str]]:
        data = (folder / self.name).read_bytes()
        stopped = threading.Event()

        def serve(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                client.recv(65536)
                for place in range(0, len(data), _PIECE_BYTES):
                    client.sendall(data[place : place + _PIECE_BYTES])
                    if stopped.wait(_BETWEEN_PIECES_S):
                        return
                client.shutdown(socket.SHUT_WR)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while not stopped.is_set():
                    client, _ = listener.accept()
                    client.settimeout(5.0)
                    threading.Thread(target=serve, args=(client,), daemon=True, name="fuzz server").start()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=accept, daemon=True, name="fuzz server").start()
            try:
                yield {"{url}": f"http://127.0.0.1:{listener.getsockname()[1]}/stream"}
            finally:
                stopped.set()
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class MarkSender:
    """Sends the folder's datagrams over and over to a port that is free now: `{port}`."""

    @contextmanager
    def __call__(self, folder: Path) -> Iterator[Mapping[str, str]]:
        datagrams = [path.read_bytes() for path in sorted(folder.glob("*.datagram"))]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        stopped = threading.Event()

        def send() -> None:
            order = random.Random(0)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect(("127.0.0.1", port))
                while not stopped.wait(_BETWEEN_MARKS_S):
                    with contextlib.suppress(OSError):  # nobody listens yet, or any more
                        sender.send(order.choice(datagrams))

        threading.Thread(target=send, daemon=True, name="fuzz sender").start()
        try:
            yield {"{port}": str(port)}
        finally:
            stopped.set()

"""A camera on the network: JPEG pictures over HTTP on the loopback, as many IP cameras serve them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
from numpy.typing import NDArray


@contextmanager
def mjpeg_server(frames: Sequence[NDArray[np.uint8]], interval_s: float = 0.02) -> Iterator[str]:
    """Serves the frames once to every client, then closes the connection; yields the URL."""
    pictures = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for picture in pictures:
                if stopped.wait(interval_s):
                    return
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + picture + b"\r\n")
                except OSError:
                    return

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/stream.mjpg"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()

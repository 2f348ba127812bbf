"""JPEG pictures over HTTP, as most IP cameras serve them."""

import http.client
import os
import re
import ssl
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit, urlunsplit

import cv2
import numpy as np

from model.types import Image
from stream.sources.jpeg_splitter import JpegSplitter
from stream.sources.messages import Damaged
from stream.sources.reading import Captured, CaptureError

_PICTURES = ("multipart/", "image/jpeg", "video/x-motion-jpeg", "video/x-mjpeg", "video/mjpeg")
_CHUNK_BYTES = 256 * 1024
_HARMLESS = re.compile(rb"Corrupt JPEG data: (\d|1[0-6]) extraneous bytes before marker 0xd9")
"""Many cameras fill their pictures up to a multiple of 4, 8 or 16 bytes."""


def open_mjpeg(url: str, timeout_s: float) -> "MjpegReader | None":
    """None when what is served there is something else; CaptureError when nothing is."""
    try:
        response = _open(url, timeout_s)
    except Exception as error:
        raise CaptureError(_words(error, timeout_s)) from None
    if response.headers.get_content_type().startswith(_PICTURES):
        return MjpegReader(response)
    response.close()
    return None


class MjpegReader:
    """A thread splits what arrives into pictures and keeps the newest; only that one is decoded. So neither a slow
    decoder nor a burst makes pictures late."""

    fps: float = 0.0
    live: bool = True
    frames: int | None = None

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._splitter = JpegSplitter()
        self._decoder = StrictDecoder()
        self._fresh = threading.Condition()
        self._newest: tuple[bytes, float] | None = None
        self._arrived = 0
        self._damaged = self._told = 0
        self._end: CaptureError | None = None
        self._ended = False
        threading.Thread(target=self._drain, name="drain", daemon=True).start()

    @property
    def bad(self) -> int:
        return self._splitter.bad + self._damaged

    def pictures(self) -> Iterator[Captured | Damaged]:
        while True:
            with self._fresh:
                self._fresh.wait_for(lambda: self._newest is not None or self._ended or self.bad > self._told)
                newest, self._newest = self._newest, None
                arrived, ended = self._arrived, self._ended
            if newest is not None:
                jpeg, captured_s = newest
                started_s = time.perf_counter()
                image = self._decoder.decode(jpeg)
                decode_ms = 1000 * (time.perf_counter() - started_s)
                if image is not None:
                    # Of those that were overtaken nobody knows whether they are damaged.
                    index = arrived - 1 - self._damaged
                    yield Captured(image, index, 0.0, captured_s, decode_ms)
                else:
                    self._damaged += 1
            if self.bad > self._told:
                self._told = self.bad
                yield Damaged(self._told)
            if newest is None and ended:
                if self._end is not None:
                    raise self._end
                return

    def _drain(self) -> None:
        end: CaptureError | None = None
        try:
            while data := self._response.read1(_CHUNK_BYTES):
                pictures = self._splitter.feed(data)
                with self._fresh:
                    if pictures:
                        self._arrived += len(pictures)
                        self._newest = (pictures[-1], time.monotonic())
                    self._fresh.notify()
        except Exception as error:
            end = CaptureError(_words(error, None))
        with self._fresh:
            self._end, self._ended = end, True
            self._fresh.notify()


class StrictDecoder:
    """Decodes whole JPEG pictures and no others.

    The decoder fills up what is missing with grey or with what it makes of the wrong bytes, and says so on the error
    stream only. Such a picture would pass for a movement of the face. The error stream is therefore led into a file
    here: for processes that have no other use for it.
    """

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the process)
        sys.stderr.flush()
        os.dup2(self._log.fileno(), 2)

    def decode(self, jpeg: bytes) -> Image | None:
        """BGR uint8 (height, width, 3), None when the picture is damaged."""
        try:
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            image = None
        if not self._log.tell():
            return image
        self._log.seek(0)
        said = self._log.read()
        self._log.seek(0)
        self._log.truncate()
        return image if _HARMLESS.fullmatch(said.strip()) else None


def _open(url: str, timeout_s: float) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    handlers: list[urllib.request.BaseHandler] = []
    if parts.username is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, bare, unquote(parts.username), unquote(parts.password or ""))
        handlers += [
            urllib.request.HTTPDigestAuthHandler(passwords),
            urllib.request.HTTPBasicAuthHandler(passwords),
        ]
    request = urllib.request.Request(bare, headers={"User-Agent": "Microlive", "Accept": "*/*"})
    return urllib.request.build_opener(*handlers).open(request, timeout=timeout_s)


def _words(error: Exception, timeout_s: float | None) -> str:
    """Why a request failed; nothing that could repeat the address."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {http.client.responses.get(error.code, '')}".rstrip()
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        error = error.reason
    if isinstance(error, TimeoutError):
        return "no data for too long" if timeout_s is None else f"no answer within {timeout_s:g} s"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails: {error.reason or 'unknown reason'}"
    if isinstance(error, http.client.HTTPException):
        return "the server does not speak HTTP"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return type(error).__name__

"""JPEG pictures over HTTP, as most IP cameras serve them.

JPEG pictures out of a stream of bytes, by the pictures' own markers (ITU-T T.81, annex B).

What lies between the pictures (multipart boundaries and headers, garbage) is passed over, so that a server's headers
need not be right, and a picture is whole with its last byte, not with the first of the next one.
"""

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

from model.decoding import decode_picture
from model.types import Image
from stream.picture_limits import jpeg_size_px, too_large
from stream.sources.capture_protocol import Captured, CaptureError, Damaged, TooLargeError

_START = b"\xff\xd8\xff"
_NO_RESTART = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END, _START_CODE, _SCAN = 0xD9, 0xD8, 0xDA
_ALONE = {0x00, 0x01, *range(0xD0, 0xD8)}
_BETWEEN_SCANS = {_SCAN, _END, 0xC4, 0xDB, 0xDC, 0xDD, 0xFE}
"""After the first scan come further scans, tables, comments and the end; anything else is damage."""
_MAX_BYTES = 64 * 1024 * 1024
_PICTURES = ("multipart/", "image/jpeg", "video/x-motion-jpeg", "video/x-mjpeg", "video/mjpeg")
_CHUNK_BYTES = 256 * 1024
_LARGE_IN_A_ROW = 3
_HARMLESS = re.compile(rb"Corrupt JPEG data: (\d|1[0-6]) extraneous bytes before marker 0xd9")
"""Many cameras fill their pictures up to a multiple of 4, 8 or 16 bytes."""


class JpegSplitter:
    """`feed` bytes as they come, get whole pictures. `bad` counts those that were begun and broke off or are damaged in
    their structure; the search goes on behind the damage."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.bad = 0
        self._begin(0)
        self._inside = False

    def feed(self, data: bytes) -> list[bytes]:
        """The pictures that these bytes complete."""
        self._buffer += data
        pictures: list[bytes] = []
        while True:
            if not self._inside and not self._find_start():
                return pictures
            done = self._advance()
            if done is None:
                if len(self._buffer) > _MAX_BYTES:
                    self._give_up(len(self._buffer))
                return pictures
            if done:
                pictures.append(bytes(self._buffer[: self._at]))
                self._begin(self._at)
                self._inside = False
            else:
                self._give_up(self._resume_at)

    def _begin(self, cut: int) -> None:
        """Forgets the first bytes; the next picture starts at or after what is left."""
        del self._buffer[:cut]
        self._at = len(_START) - 1
        self._resume_at = self._at
        self._scanning = self._scanned = False

    def _give_up(self, resume_at: int) -> None:
        self.bad += 1
        self._begin(resume_at)
        self._inside = False

    def _find_start(self) -> bool:
        found = self._buffer.find(_START)
        if found < 0:
            del self._buffer[: max(0, len(self._buffer) - len(_START) + 1)]
            return False
        self._begin(found)
        self._inside = True
        return True

    def _advance(self) -> bool | None:
        """Walks on from marker to marker: True at the end of the picture, False at damage, None when bytes are missing."""
        while True:
            if self._scanning:
                marker = _NO_RESTART.search(self._buffer, self._at)
                if marker is None:
                    self._at = max(self._at, len(self._buffer) - 1)
                    return None
                self._at = self._resume_at = marker.start()
                self._scanning = False
            if len(self._buffer) < self._at + 2:
                return None
            if self._buffer[self._at] != 0xFF:
                return False
            code = self._buffer[self._at + 1]
            if code == 0xFF:
                self._at += 1
                continue
            if code == _END:
                self._at += 2
                return True
            if code == _START_CODE or code in _ALONE or (self._scanned and code not in _BETWEEN_SCANS):
                # The next picture may begin right here.
                self._resume_at = self._at
                return False
            if len(self._buffer) < self._at + 4:
                return None
            length = int.from_bytes(self._buffer[self._at + 2 : self._at + 4], "big")
            if length < 2:
                return False
            if len(self._buffer) < self._at + 2 + length:
                return None
            # Where the length was wrong, the next picture may begin inside of what was taken for a segment.
            self._resume_at = self._at + 2
            self._at += 2 + length
            if code == _SCAN:
                self._scanning = self._scanned = True


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
        self._damaged = self._told = self._large = 0
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
                image = None if self._is_large(jpeg) else self._decoder.decode(jpeg)
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

    def _is_large(self, jpeg: bytes) -> bool:
        """By its header, before it takes any memory. One of them may be damaged; several say what the camera gives."""
        wrong = too_large(*jpeg_size_px(jpeg))
        self._large = 0 if wrong is None else self._large + 1
        if wrong is not None and self._large >= _LARGE_IN_A_ROW:
            # The thread that drains is not to go on for nobody.
            self._ended = True
            raise TooLargeError(wrong)
        return wrong is not None

    def _drain(self) -> None:
        end: CaptureError | None = None
        try:
            while not self._ended and (data := self._response.read1(_CHUNK_BYTES)):
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
        image = decode_picture(jpeg)
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

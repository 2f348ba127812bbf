"""JPEG pictures out of a stream of bytes, by the pictures' own markers (ITU-T T.81, annex B).

What lies between the pictures (multipart boundaries and headers, garbage) is passed over, so that a server's headers
need not be right, and a picture is whole with its last byte, not with the first of the next one.
"""

import re

_START = b"\xff\xd8\xff"
_NO_RESTART = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_END, _START_CODE, _SCAN = 0xD9, 0xD8, 0xDA
_ALONE = {0x00, 0x01, *range(0xD0, 0xD8)}
_BETWEEN_SCANS = {_SCAN, _END, 0xC4, 0xDB, 0xDC, 0xDD, 0xFE}
"""After the first scan come further scans, tables, comments and the end; anything else is damage."""
_MAX_BYTES = 64 * 1024 * 1024


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

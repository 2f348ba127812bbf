"""The window: shows pictures, gives back commands. To be used from the main thread."""

import ctypes
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.sinks.base import SinkError

Command = Literal["quit", "pause", "reset", "snapshot", "help"]

ESCAPE = 27
_COMMANDS: dict[int, Command] = {
    ord("q"): "quit",
    ESCAPE: "quit",
    ord(" "): "pause",
    ord("r"): "reset",
    ord("s"): "snapshot",
    ord("h"): "help",
}


def display_available() -> bool:
    """Whether a window can be opened here, found out without opening one.

    Qt ends the whole process when it finds no X server, so the server is asked first, through the same library
    (libxcb) and with the same authority that Qt would use.
    """
    if "GUI:                           NONE" in cv2.getBuildInformation():
        return False
    if not sys.platform.startswith("linux"):
        return True
    if os.environ.get("QT_QPA_PLATFORM", "xcb").split(":")[0] != "xcb" or not os.environ.get("DISPLAY"):
        return False
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    # A connection that failed is an object too and has to be given back like any other.
    connection = xcb.xcb_connect(None, None)
    failed = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return failed == 0


class Window:
    """One window that keeps the picture's shape when it is resized. Opens with the first picture.

    Raises `SinkError` at construction when there is no display.
    """

    def __init__(self, title: str) -> None:
        if not display_available():
            raise SinkError("cannot open a window: no display; run without a window, or set DISPLAY")
        self._title = title
        self._open = False

    def show(self, image: NDArray[np.uint8], wait_ms: int = 1) -> Command | None:
        """Shows a BGR picture, lets the window work for `wait_ms` and gives back what was asked for, if anything.

        A window closed by its button counts as `quit`.
        """
        if not self._open:
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(self._title, *_first_size(image))
            self._open = True
        elif cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            return "quit"
        cv2.imshow(self._title, image)
        return command_of(cv2.waitKey(max(1, wait_ms)))

    def close(self) -> None:
        if self._open:
            self._open = False
            try:
                cv2.destroyWindow(self._title)
                cv2.waitKey(1)
            except cv2.error:
                pass  # its button has destroyed it already

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def command_of(key: int) -> Command | None:
    """The command of a key code of `cv2.waitKey` (-1: none); capitals count as their small letters."""
    if key < 0:
        return None
    key &= 0xFF
    return _COMMANDS.get(ord(chr(key).lower()))


def save_snapshot(image: NDArray[np.uint8], folder: Path | str) -> Path:
    """Writes the picture as a PNG named by date and time into `folder`, made where it is missing; gives back its path.

    Raises `SinkError` when it cannot be written.
    """
    folder = Path(folder)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    encoded, data = cv2.imencode(".png", image)
    if not encoded:
        raise SinkError(f"cannot encode a snapshot of {image.shape}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 0
        while True:
            path = folder / f"snapshot-{stamp}{f'-{number}' if number else ''}.png"
            try:
                # "x" never overwrites: two snapshots within one second are two files.
                with path.open("xb") as file:
                    file.write(data.tobytes())
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        raise SinkError(f"cannot write a snapshot into {folder}: {error.strerror or error}") from error


def _first_size(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height that fit on a common screen."""
    height, width = image.shape[:2]
    scale = min(1.0, 1600 / width, 900 / height)
    return round(width * scale), round(height * scale)

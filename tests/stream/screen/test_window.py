"""The window with real keys and a real close button, on a display of its own; and what happens without a display."""

import ctypes
import ctypes.util
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stream.screen.window import Window, command_of, display_available
from stream.sinks.base import SinkError
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S

ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
TITLE = "microlive window test"
SHOWS = f"""
import numpy as np
from stream.screen.window import Window

image = np.full((120, 200, 3), 80, np.uint8)
with Window({TITLE!r}) as window:
    for _ in range(6000):  # half a minute: a key that does not arrive ends the test
        command = window.show(image, wait_ms=5)
        if command:
            print(command, flush=True)
        if command == "quit":
            break
print("closed", flush=True)
"""


@pytest.mark.parametrize(
    "key, command",
    [
        (ord("q"), "quit"),
        (ord("Q"), "quit"),
        (27, "quit"),
        (ord(" "), "pause"),
        (ord("r"), "reset"),
        (ord("s"), "snapshot"),
        (ord("h"), "help"),
        (ord("H") | 0x10000, "help"),
        (ord("x"), None),
        (-1, None),
    ],
)
def test_keys(key, command):
    assert command_of(key) == command


@ON_LINUX
@pytest.mark.parametrize("display", ["", ":4711", "no-such-host.invalid:0", "nonsense"])
def test_a_missing_display_is_found_out_without_dying(display):
    program = "from stream.screen.window import display_available; print(display_available())"
    environment = {**os.environ, "DISPLAY": display, "WAYLAND_DISPLAY": "wayland-0"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert (done.returncode, done.stdout) == (0, "False\n")


@ON_LINUX
def test_a_window_without_a_display_is_an_error(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert not display_available()
    with pytest.raises(SinkError, match="cannot open a window: no display"):
        Window(TITLE)


@pytest.fixture
def program(display) -> Iterator[subprocess.Popen[str]]:
    """A program that shows a window and prints its commands until it is told to quit."""
    command = [sys.executable, "-c", SHOWS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def xdotool(*arguments: str) -> str:
    return subprocess.run(
        ["xdotool", *arguments], check=True, capture_output=True, text=True, timeout=DEADLINE_S
    ).stdout


def find_window() -> str:
    return xdotool("search", "--sync", "--onlyvisible", "--name", TITLE).split()[-1]


@pytest.mark.gui
def test_keys_are_commands(program):
    xdotool("windowfocus", "--sync", find_window())
    for key, command in (("space", "pause"), ("r", "reset"), ("s", "snapshot"), ("h", "help"), ("shift+h", "help")):
        xdotool("key", key)
        assert program.stdout.readline() == f"{command}\n"
    xdotool("key", "x", "Escape")
    assert program.stdout.readline() == "quit\n"
    assert program.stdout.readline() == "closed\n"
    assert program.wait(DEADLINE_S) == 0


@pytest.mark.gui
def test_the_close_button_is_quit(program, display):
    press_close_button(display, int(find_window()))
    assert program.stdout.readline() == "quit\n"
    assert program.stdout.readline() == "closed\n"
    assert program.wait(DEADLINE_S) == 0


@pytest.mark.gui
def test_a_display_is_found(display):
    assert display_available()


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent of Xlib."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest_of_the_union", ctypes.c_long * 24),
    )


def press_close_button(display: str, window: int) -> None:
    """Sends what a window manager sends when its close button is pressed: WM_DELETE_WINDOW."""
    name = ctypes.util.find_library("X11")
    if name is None:
        pytest.skip("libX11 is not installed")
    x11 = ctypes.CDLL(name)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    x11.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    x11.XSendEvent.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    connection = x11.XOpenDisplay(display.encode())
    event = ClientMessage(type=33, display=connection, window=window, format=32)
    event.message_type = x11.XInternAtom(connection, b"WM_PROTOCOLS", 0)
    event.data[0] = x11.XInternAtom(connection, b"WM_DELETE_WINDOW", 0)
    assert x11.XSendEvent(connection, window, 0, 0, ctypes.byref(event))
    x11.XCloseDisplay(connection)

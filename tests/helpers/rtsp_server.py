"""A camera that speaks RTSP, as a process that can be stopped, killed and started again."""

import signal
import subprocess
from pathlib import Path
from typing import Self

import pytest

_SCRIPT = Path(__file__).with_name("rtsp_serve.py")
_PYTHON = "/usr/bin/python3"


class RtspServer:
    """Skips the test where GStreamer's RTSP server is not installed."""

    def __init__(self, size: str = "160x120") -> None:
        self._port = "0"
        self.start(size)

    def start(self, size: str = "160x120") -> None:
        """On the port it had before, if any."""
        try:
            self._process = subprocess.Popen(
                [_PYTHON, str(_SCRIPT), self._port, size], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except FileNotFoundError:
            pytest.skip(f"there is no {_PYTHON}")
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            pytest.skip(f"GStreamer's RTSP server does not run: {(errors.splitlines() or ['no word'])[-1]}")
        self._port = line.strip()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self._port}/live"

    def freeze(self, frozen: bool) -> None:
        """Connections are accepted by the system, and nothing comes."""
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

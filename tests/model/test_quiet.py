"""Native logs held back: what is dropped, what is shown, and blocks that overlap."""

import os
import subprocess
import sys
import threading

import pytest

from model.quiet import native_log_held_back
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S


def test_what_native_code_writes_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with native_log_held_back():
        os.write(2, b"noise")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_it_is_shown_with_an_error_where_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    for shown in (True, False):
        with pytest.raises(KeyError), native_log_held_back(shown_on_error=shown):
            os.write(2, b"noise")
            raise KeyError
        assert ("noise" in capfd.readouterr().err) is shown


def test_blocks_of_two_threads_may_overlap(capfd: pytest.CaptureFixture[str]) -> None:
    """Whichever ends first, the error stream is back after the last."""
    first_in, first_out = threading.Event(), threading.Event()

    def first() -> None:
        with native_log_held_back():
            first_in.set()
            assert first_out.wait(DEADLINE_S)
            os.write(2, b"noise")

    thread = threading.Thread(target=first)
    thread.start()
    assert first_in.wait(DEADLINE_S)
    with native_log_held_back():
        first_out.set()
        thread.join(DEADLINE_S)
        os.write(2, b"noise")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_recognizers_may_start_in_threads_of_a_new_process() -> None:
    """Everything is loaded for the first time, by several at once, and the error stream is there afterwards."""
    code = (
        "import os, threading, numpy as np\n"
        "from stream.recognizer import Recognizer\n"
        "statuses = []\n"
        "def work():\n"
        "    with Recognizer() as recognizer:\n"
        "        statuses.append(recognizer.process(np.zeros((48, 64, 3), np.uint8), 0.0).status)\n"
        "threads = [threading.Thread(target=work) for _ in range(3)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print(*statuses)\n"
        "os.write(2, b'after')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout.split(), done.stderr) == (["no_face"] * 3, "after")

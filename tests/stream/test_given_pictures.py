"""What other programs give: pictures, times and sources of every make work, or one line says what makes them do."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from microlive import FrameError, Recognizer, SourceError, open_source
from model.types import Frame
from stream.given_pictures import TimeWatch, as_bgr, checked_frame, checked_time_s
from stream.sources.file import FileSource
from tests.helpers.clips import Frames, empty_frames, write_video
from tests.helpers.models import save_tiny_model
from tests.helpers.paths import ROOT

GOOD = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
Tensor = type("Tensor", (), {"__module__": "torch"})
REFUSED: list[tuple[Any, str, str]] = [
    (GOOD.tolist(), "bgr", r"found list; give np.array\(image, np.uint8\)$"),
    (Tensor(), "rgb", r"found Tensor; give image.cpu\(\).numpy\(\), with the channels last$"),
    (Pillow.fromarray(GOOD), "bgr", r'found Image; give np.asarray\(image.convert\("RGB"\)\) with colour="rgb"$'),
    (SimpleNamespace(__array__=None), "bgr", r"found SimpleNamespace; give np.asarray\(image\)$"),
    (b"\xff\xd8", "bgr", "found bytes$"),
    (GOOD / 255, "bgr", r"float64; give \(255 \* image\).clip\(0, 255\).astype\(np.uint8\)$"),
    (GOOD.astype(np.float32), "bgr", r"float32; give image.clip\(0, 255\).astype\(np.uint8\)$"),
    (GOOD.astype(np.uint16) * 256, "bgr", r"uint16; give \(image >> 8\).astype\(np.uint8\) where it has 16 bits$"),
    (GOOD.astype(object), "bgr", "object$"),
    (GOOD[..., 0], "bgr", r'found \(48, 64\); say colour="grey"$'),
    (GOOD[..., :1], "bgr", r'found \(48, 64, 1\); give image\[..., 0\] with colour="grey"$'),
    (GOOD, "grey", r'found \(48, 64, 3\); say colour="bgr" or "rgb"$'),
    (np.dstack([GOOD, GOOD[..., 0]]), "rgb", r"\(48, 64, 4\); leave out the fourth channel: image\[..., :3\]$"),
    (GOOD.transpose(2, 0, 1), "rgb", r"\(3, 48, 64\); the channels come last: image.transpose\(1, 2, 0\)$"),
    (GOOD[None], "bgr", r"\(1, 48, 64, 3\); give the pictures one by one$"),
]


@pytest.mark.parametrize(("image", "colour", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_makes_a_picture_right_is_said(image: Any, colour: Any, message: str) -> None:
    with pytest.raises(FrameError, match=message) as caught:
        as_bgr(image, colour)
    assert "\n" not in str(caught.value)


def read_only() -> np.ndarray:
    image = GOOD.copy()
    image.flags.writeable = False
    return image


SOUND = {
    "read-only": read_only(),
    "a sub-class": GOOD.view(np.recarray),
    "masked": np.ma.masked_array(GOOD, mask=False),
    "backwards": GOOD[::-1, ::-1][::-1, ::-1],
    "by columns": np.asfortranarray(GOOD),
}


@pytest.mark.parametrize("name", SOUND)
def test_arrays_of_every_make_are_taken(name: str) -> None:
    for found in (as_bgr(SOUND[name], "bgr"), checked_frame(Frame(0, 0.0, SOUND[name], 0.0), "mine").image):
        assert type(found) is np.ndarray and found.flags.c_contiguous and np.array_equal(found, GOOD)


@pytest.mark.parametrize("time_s", [10**400, True, np.array(1.0), np.timedelta64(1, "s"), "1", None, float("nan"), -1])
def test_times_that_are_none(time_s: Any) -> None:
    with pytest.raises(FrameError, match="time_s: expected seconds, a finite number of 0 or more, found"):
        checked_time_s(time_s, None)


def test_times_of_other_numbers_are_taken() -> None:
    assert [checked_time_s(time_s, None) for time_s in (1, np.float32(1), np.int64(1))] == [1.0] * 3


FRAMES: dict[str, tuple[Any, str]] = {
    "grey": (Frame(3, 0.1, GOOD[..., 0], 0.0), r"frames, frame 3: image: expected \(height, width, 3\), found \(48, 64\); give cv2.cvtColor"),
    "float": (Frame(3, 0.1, GOOD / 255, 0.0), r"frames, frame 3: image: expected uint8 .* found float64; give \(255"),
    "time": (Frame(3, float("nan"), GOOD, 0.0), "frames, frame 3: time_s: expected seconds, a finite number, found nan"),
    "pair": ((0.1, GOOD), r"frames: expected Frame\(index, time_s, image, captured_s\), found tuple"),
}  # fmt: skip


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recognizer]:
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    save_tiny_model(path)
    with Recognizer(path) as made:
        yield made


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_of_somebodys_own_source_that_is_none_is_one_line(recognizer: Recognizer, name: str) -> None:
    frame, message = FRAMES[name]
    results = recognizer.run(Frames([Frame(2, 0.0, empty_frames(1)[0], 0.0), frame]))
    assert next(results).frame.index == 2
    with pytest.raises(SourceError, match=message) as caught:
        next(results)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source", [[GOOD], GOOD, [(0.0, GOOD)], iter([GOOD]), None, True, 1.5, b"a.mp4", Frames], ids=lambda x: type(x).__name__
)  # fmt: skip
def test_what_is_no_source_is_told_where_to_go(recognizer: Recognizer, source: Any) -> None:
    for take in (recognizer.run, open_source):
        with pytest.raises(SourceError, match=r"source: expected .* found .*; give pictures .* to Recognizer.process"):
            take(source)
    with pytest.raises(SourceError, match="pace: expected realtime or fast, found 'slow'"):
        recognizer.run("demo", pace="slow")  # type: ignore[arg-type]


def test_an_opened_capture_is_told_too_and_paths_of_every_kind_work(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", empty_frames(3))
    capture = cv2.VideoCapture(str(path))
    with pytest.raises(SourceError, match="found VideoCapture; give pictures"):
        recognizer.run(capture)  # type: ignore[arg-type]
    capture.release()
    assert isinstance(open_source(path), FileSource)
    assert len(list(recognizer.run(path))) == len(list(recognizer.run(str(path)))) == 3


def test_times_that_are_no_seconds_are_told_once(recognizer: Recognizer) -> None:
    pictures = empty_frames(12)
    frames = [Frame(n, 33.0 * n, picture, 0.0) for n, picture in enumerate(pictures)]
    hint = "the last 8 frames are 33 s apart.* time_s counts seconds; divide milliseconds by 1000"
    with pytest.warns(UserWarning, match=hint) as told:
        for frame in frames:
            recognizer.process(frame.image, frame.time_s)
    assert len(told) == 1 and told[0].filename == __file__
    recognizer.reset()
    with pytest.warns(UserWarning, match=hint) as told:
        assert len(list(recognizer.run(Frames(frames)))) == 12
    assert len(told) == 1


def test_gaps_and_slow_cameras_are_no_such_times() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch = TimeWatch()
        for n in range(60):
            watch.step(0.9 * n + 5 * (n // 7))


FORK = """
import multiprocessing, os, sys
from microlive import MicroliveError, Recognizer
from tests.helpers.clips import face_frames
model, picture = sys.argv[1], face_frames(1)[0]

def work(old):
    for recognizer in (old, Recognizer(model)):
        for use in (lambda: recognizer.process(picture, 9.0), lambda: list(recognizer.run("demo")), recognizer.finish, recognizer.reset):
            try:
                use()
                print("worked")
            except MicroliveError as error:
                print(error)
        recognizer.close()
    sys.stdout.flush()

def start(target):
    process = multiprocessing.get_context("fork").Process(target=target, args=(recognizer,))
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode

recognizer = Recognizer(model)
start(lambda old: (old.process(picture, 0.0), print("before: fine", flush=True)))
recognizer.process(picture, 0.0)
start(work)
recognizer.process(picture, 1.0)
print("parent: fine", flush=True)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork here")
def test_a_fork_after_the_first_frame_says_so_and_one_before_works(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "tiny.onnx")
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path / "tiny.onnx")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    first, *told, last = done.stdout.splitlines()
    assert (first, last) == ("before: fine", "parent: fine")
    assert len(told) == 8 and len(set(told)) == 1
    assert "before this process was forked" in told[0] and 'multiprocessing.get_context("spawn")' in told[0]

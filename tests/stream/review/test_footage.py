"""Frames of a video or a session from any moment on are those of a run from the beginning."""

from pathlib import Path

import av
import numpy as np
import pytest

from model.types import Frame
from stream.labels.label_log import LabelError
from stream.labels.reviewable import Reviewable
from stream.review.footage import Footage
from stream.session.replay import ReplaySource
from stream.session.session_folder import SessionFolder
from stream.sources.demo import DEMO_CLIP
from stream.sources.file import FileSource
from tests.helpers.sessions import material, record

SPANS_S = ((-1.0, 0.1), (0.5, 1.2), (0.96, 1.04), (1.9, 2.6), (2.5, 9.0))


def write(path: Path, codec: str, count: int, fps: int = 30, **options: str) -> Path:
    """A video whose pictures all differ."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(count):
            image = np.random.default_rng(number).integers(0, 255, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        file.mux(stream.encode())
    return path


def same(found: list[Frame], wanted: list[Frame]) -> bool:
    return len(found) == len(wanted) and all(
        (a.index, a.time_s, a.restart) == (b.index, b.time_s, b.restart) and np.array_equal(a.image, b.image)
        for a, b in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("short.mp4", "libx264", {"g": "10", "bf": "3"}),
        ("one-key.mp4", "libx264", {"g": "300"}),
        ("open.mkv", "libx264", {"x264-params": "open-gop=1:keyint=12:bframes=3"}),
        ("old.mp4", "mpeg4", {"g": "12"}),
        ("intra.mkv", "ffv1", {}),
    ],
)
def test_a_video_from_any_moment_on(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    path = write(tmp_path / name, codec, 80, **options)
    with FileSource(path, "fast") as source:
        everything = list(source)
    footage = Footage.of(Reviewable("video", tmp_path / "events.jsonl", video=path))
    assert footage is not None and footage.times_s.tolist() == [frame.time_s for frame in everything]
    for from_s, to_s in SPANS_S:
        wanted = [frame for frame in everything if from_s <= frame.time_s <= to_s]
        assert same(list(footage.frames(footage.around(from_s, to_s))), wanted), (from_s, to_s)


def test_every_single_frame_of_the_demo_can_be_asked_for() -> None:
    with FileSource(DEMO_CLIP, "fast") as source:
        everything = list(source)
    footage = Footage.of(Reviewable("demo", DEMO_CLIP, video=DEMO_CLIP))
    assert footage is not None
    for number in range(0, len(everything), 37):
        assert same(list(footage.frames(range(number, number + 1))), [everything[number]])


def test_a_session_from_any_moment_on(tmp_path: Path) -> None:
    session = tmp_path / "session"
    assert record(material(tmp_path), session, "--record-source") == 0
    with ReplaySource(SessionFolder(session)) as source:
        everything = list(source)
    footage = Footage.of(Reviewable("session", session / "events.jsonl", session=SessionFolder(session)))
    assert footage is not None
    for from_s, to_s in SPANS_S:
        wanted = [frame for frame in everything if from_s <= frame.time_s <= to_s]
        assert same(list(footage.frames(footage.around(from_s, to_s))), wanted)


def test_a_session_without_pictures_has_none(tmp_path: Path) -> None:
    session = tmp_path / "session"
    assert record(material(tmp_path), session) == 0
    assert Footage.of(Reviewable("session", session / "events.jsonl", session=SessionFolder(session))) is None


def test_what_is_no_video_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").write_bytes(b"no video at all")
    with pytest.raises(LabelError, match=r"talk\.mp4 holds no video that can be decoded$"):
        Footage.of(Reviewable("talk", tmp_path / "events.jsonl", video=tmp_path / "talk.mp4"))

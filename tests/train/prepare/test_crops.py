"""Onset to offset by frame number."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.contract import CropGeometry
from model.preprocess import interpolate_clip
from tests.helpers.clips import face_frames, write_track
from train.datasets.source import FrameFolder, SourceClip, VideoFile
from train.prepare.crops import ClipError, ClipInterval, CropReader, between, find_interval, sample_window


def ramp(numbers: list[int], gain: float = 1.0) -> np.ndarray:
    """Crops whose grey level is their frame number."""
    return np.array([np.full((2, 2, 1), gain * number) for number in numbers]).astype(np.uint8)


@given(count=st.integers(2, 60), frames=st.integers(9, 40), onset=st.integers(0, 10**6), seed=st.integers(0, 99))
def test_with_no_frame_missing_it_is_interpolate_clip(count: int, frames: int, onset: int, seed: int) -> None:
    crops = np.random.default_rng(seed).integers(0, 256, (count, 3, 3, 1)).astype(np.uint8)
    numbers = range(onset, onset + count)
    interval = find_interval(numbers, None, None)
    np.testing.assert_array_equal(sample_window(crops, numbers, interval, frames), interpolate_clip(crops, frames))


@given(numbers=st.sets(st.integers(0, 255), min_size=2, max_size=40), frames=st.integers(9, 40))
def test_frames_lie_at_equal_steps_of_the_frame_number(numbers: set[int], frames: int) -> None:
    there = sorted(numbers)
    interval = ClipInterval(there[0], there[-1], there[-1] - there[0] + 1, 0)
    window = sample_window(ramp(there), there, interval, frames)
    expected = np.linspace(there[0], there[-1], frames)
    assert np.abs(window[:, 0, 0, 0] - expected).max() <= 0.501


def test_beyond_the_frames_there_are_the_nearest_stands_in() -> None:
    there = [11, 12, 13, 14, 15, 16, 17, 18]
    window = sample_window(ramp(there), there, find_interval(there, 10, 19), 10)
    assert window[:, 0, 0, 0].tolist() == [11, 11, 12, 13, 14, 15, 16, 17, 18, 18]


@pytest.mark.parametrize(
    ("numbers", "onset", "offset", "expected"),
    [
        (range(46, 64), None, None, ClipInterval(46, 63, 18, 0)),
        (range(40, 70), 46, 63, ClipInterval(46, 63, 18, 0)),
        ([*range(46, 52), *range(54, 64)], 46, 63, ClipInterval(46, 63, 18, 2)),
        (range(47, 64), 46, 63, ClipInterval(46, 63, 18, 1)),
        (range(100, 160, 2), 100, 158, ClipInterval(100, 158, 30, 0)),
    ],
)
def test_intervals(numbers: list[int], onset: int | None, offset: int | None, expected: ClipInterval) -> None:
    assert find_interval(numbers, onset, offset) == expected


@pytest.mark.parametrize(
    ("numbers", "onset", "offset", "message"),
    [
        ([7], None, None, "expected two pictures or more, found 1"),
        (range(20), 8, 8, "found onset 8 and offset 8"),
        (range(20), 12, 8, "found onset 12 and offset 8"),
        (range(20), 30, 40, "expected pictures from onset 30 to offset 40, found pictures 0 to 19"),
        (range(5, 21), 0, 20, "no picture near the onset, frame 0; the nearest is 5"),
        (range(16), 0, 20, "no picture near the offset, frame 20; the nearest is 15"),
        ([*range(8), *range(13, 20)], 0, 19, "5 of 20 pictures from onset 0 to offset 19 are missing"),
    ],
)
def test_clips_that_lack_too_much(numbers: list[int], onset: int | None, offset: int | None, message: str) -> None:
    with pytest.raises(ClipError, match=message):
        find_interval(numbers, onset, offset)


@given(
    numbers=st.sets(st.integers(0, 400), min_size=1, max_size=60),
    onset=st.none() | st.integers(0, 400),
    offset=st.none() | st.integers(0, 400),
)
def test_pictures_between_are_those_a_look_at_every_one_gives(
    numbers: set[int], onset: int | None, offset: int | None
) -> None:
    frames = FrameFolder(Path("clip"), tuple((number, Path(f"{number}.jpg")) for number in sorted(numbers)))
    low, high = 0 if onset is None else onset, 10**9 if offset is None else offset
    assert list(between(frames, onset, offset)) == [file for file in frames.files if low <= file[0] <= high]


@pytest.fixture(scope="module")
def reader() -> Iterator[CropReader]:
    reader = CropReader(CropGeometry(), "grey")
    yield reader
    reader.close()


def test_a_clip_in_the_middle_of_a_long_video_opens_no_picture_but_its_own(reader: CropReader, tmp_path: Path) -> None:
    pictures = face_frames(4)
    for number, picture in zip(range(2000, 2004), pictures, strict=True):
        cv2.imwrite(str(tmp_path / f"img{number}.png"), picture)
    # Opening any of the others would fail: they are not there.
    frames = FrameFolder(tmp_path, tuple((number, tmp_path / f"img{number}.png") for number in range(1, 4001)))
    clip = SourceClip("long", "s1", "a", "anger", "negative", 30.0, frames, onset=2000, offset=2003)
    assert reader.read(clip).numbers == (2000, 2001, 2002, 2003)


def test_a_videos_frames_are_numbered_from_its_first(reader: CropReader, tmp_path: Path) -> None:
    path = write_track(tmp_path / "long.mp4", face_frames(8), [i / 30 for i in range(8)])
    whole = reader.read(SourceClip("long", "s1", "a", "anger", "negative", 30.0, VideoFile(path)))
    part = reader.read(
        SourceClip("long", "s1", "a", "anger", "negative", 30.0, VideoFile(path, 101), onset=103, offset=106)
    )
    assert (whole.numbers, part.numbers) == (tuple(range(8)), (103, 104, 105, 106))
    shifted = reader.read(SourceClip("long", "s1", "a", "anger", "negative", 30.0, VideoFile(path), onset=2, offset=5))
    np.testing.assert_array_equal(part.crops, shifted.crops)


def test_a_phones_video_is_read_upright(reader: CropReader, tmp_path: Path) -> None:
    pictures, times = face_frames(4), [i / 30 for i in range(4)]
    straight = write_track(tmp_path / "straight.mp4", pictures, times)
    turned = write_track(
        tmp_path / "turned.mp4", [cv2.rotate(picture, cv2.ROTATE_180) for picture in pictures], times,
        matrix=(-1, 0, 0, -1),
    )  # fmt: skip
    found = [
        reader.read(SourceClip("mine", "ann", path.stem, "negative", "negative", 30.0, VideoFile(path)))
        for path in (straight, turned)
    ]
    assert np.abs(found[0].crops.astype(int) - found[1].crops).mean() < 5
    assert all(clip.warnings == () for clip in found)

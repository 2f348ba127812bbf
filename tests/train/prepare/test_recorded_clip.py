"""One clip: from pictures of a face to a window of aligned crops."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.contract import ClipContract, Colour, CropGeometry, NetworkInput
from model.types import Frame
from stream.face.quality import ValiditySettings
from stream.face.tracker import FaceTracker
from tests.helpers.clips import write_video
from tests.helpers.face_folders import faces, write_frames
from tests.train.datasets.test_folder import store as small_store
from train.clips.store import ClipStore
from train.datasets.source import FrameFolder, SourceClip, StoredClip, VideoFile
from train.prepare.crops import ClipError
from train.prepare.prepare import piece_key
from train.prepare.recorded_clip import ClipPreparer, PreparedClip, PrepareSettings

COUNT = 12
FAST = PrepareSettings(frames=COUNT, lead_frames=4)


def clip_of(pictures: FrameFolder | VideoFile | StoredClip | None, **more: object) -> SourceClip:
    return SourceClip("lab", "ann", "one", "happiness", "positive", 200.0, pictures, **more)  # type: ignore[arg-type]


def prepared(clip: SourceClip, settings: PrepareSettings = FAST) -> PreparedClip:
    preparer = ClipPreparer(settings)
    try:
        return preparer.prepare(clip)
    finally:
        preparer.close()


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_crops_are_those_of_the_live_tracker(tmp_path: Path, colour: Colour) -> None:
    pictures = write_frames(tmp_path / "clip", range(COUNT))
    window = prepared(clip_of(pictures), replace(FAST, colour=colour)).window
    contract = ClipContract(("a", "b"), COUNT, 30.0, input=NetworkInput(colour=colour))
    tracker = FaceTracker(contract, ValiditySettings())
    for index, (_, path) in enumerate(pictures.files):
        seen = tracker.step(Frame(index, index / 200, cv2.imread(str(path)), 0.0)).faces
        assert len(seen) == 1
        face = seen[0].face
        assert face.rekeyed == (index == 0)
        np.testing.assert_array_equal(window[index], face.crop.reshape(window[index].shape))
    tracker.close()


def test_the_record_says_where_a_window_comes_from(tmp_path: Path) -> None:
    pictures = write_frames(tmp_path / "clip", range(95, 115))
    clip = clip_of(pictures, onset=97, apex=100, offset=108, action_units=("12",))
    found = prepared(clip)
    record = found.record
    assert (record.id, record.subject, record.dataset, record.label) == ("lab/ann/one", "ann", "lab", "positive")
    assert (record.window_start, record.onset_frame, record.apex_frame, record.offset_frame) == (4, 4, 7, 15)
    assert record.action_units == ("12",) and record.notes["emotion"] == "happiness"
    assert record.notes["duration_ms"] == 55.0
    source = record.notes["source"]
    assert (source["onset"], source["apex"], source["offset"], source["fps"], source["pictures"]) == (
        97,
        100,
        108,
        200.0,
        12,
    )
    assert len(source["sha256"]) == 64 and found.warnings == ()
    # Pictures outside do not count, those inside do.
    pictures.files[0][1].write_bytes(b"")
    assert prepared(clip).record == record
    assert cv2.imwrite(str(pictures.files[5][1]), cv2.imread(str(pictures.files[6][1])))
    assert prepared(clip).record.notes["source"]["sha256"] != source["sha256"]


def test_a_few_missing_frames_are_filled_and_told(tmp_path: Path) -> None:
    whole = write_frames(tmp_path / "clip", range(COUNT))
    expected = prepared(clip_of(whole)).window
    gap = FrameFolder(whole.path, tuple(file for file in whole.files if file[0] != 5))
    found = prepared(clip_of(gap, onset=0, offset=COUNT - 1))
    assert found.warnings == ("1 of 12 pictures are missing: filled from their neighbours",)
    assert found.record.notes["source"]["missing"] == 1
    np.testing.assert_array_equal(found.window[:5], expected[:5])
    between = np.rint((found.window[4].astype(float) + found.window[6]) / 2)
    np.testing.assert_array_equal(found.window[5], between)


def test_an_unreadable_picture_is_a_missing_one(tmp_path: Path) -> None:
    pictures = write_frames(tmp_path / "clip", range(COUNT))
    for _, path in pictures.files[3:5]:
        path.write_bytes(b"no picture")
    found = prepared(clip_of(pictures))
    assert "2 of 12 pictures are missing" in found.warnings[0]
    for _, path in pictures.files[5:7]:
        path.write_bytes(b"")
    with pytest.raises(ClipError, match="4 of 12 pictures"):
        prepared(clip_of(pictures))


def test_clips_that_cannot_be_used(tmp_path: Path) -> None:
    pictures = write_frames(tmp_path / "clip", range(COUNT))
    grey = write_frames(tmp_path / "grey", range(COUNT), grey=True)
    small = write_frames(tmp_path / "small", range(COUNT))
    for _, path in small.files:
        assert cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (72, 72), interpolation=cv2.INTER_AREA))
    (tmp_path / "cut.mp4").write_bytes(b"no video")
    cases = [
        (clip_of(None), FAST, "no usable pictures"),
        (clip_of(pictures, onset=0, offset=40), FAST, "no picture near the offset, frame 40"),
        (clip_of(grey), replace(FAST, colour="rgb"), "the pictures are grey.*leave out --colour rgb"),
        (clip_of(small), FAST, "the face is too small: expected 18 px or more between the eyes"),
        (clip_of(VideoFile(tmp_path / "cut.mp4")), FAST, "holds no video"),
        (clip_of(VideoFile(tmp_path / "gone.mp4")), FAST, "gone.mp4"),
    ]
    for clip, settings, message in cases:
        with pytest.raises(ClipError, match=message):
            prepared(clip, settings)


def test_a_broken_alignment_is_said(tmp_path: Path) -> None:
    pictures = write_frames(tmp_path / "clip", range(COUNT))
    blank = np.full((256, 256, 3), 90, np.uint8)
    cv2.imwrite(str(pictures.files[6][1]), blank)
    assert prepared(clip_of(pictures)).warnings == ("the alignment lost the face in 1 of 12 pictures",)
    cv2.imwrite(str(pictures.files[7][1]), blank)
    with pytest.raises(ClipError, match=r"lost the face in 2 of 12 pictures$"):
        prepared(clip_of(pictures))
    small = replace(FAST, geometry=CropGeometry(96, 33.0, 31.5))
    with pytest.raises(ClipError, match=r"\(crops of 96 px hold few corners to go by: larger ones help\)"):
        prepared(clip_of(pictures), small)


def test_an_apex_outside_is_left_out(tmp_path: Path) -> None:
    found = prepared(clip_of(write_frames(tmp_path / "clip", range(COUNT)), onset=0, apex=30, offset=11))
    assert found.record.apex_frame is None and "apex 30 lies outside onset 0 to offset 11" in found.warnings[0]


def test_videos_count_from_zero_and_long_ones_are_remarked_on(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", faces(20), 5.0)
    found = prepared(replace(clip_of(VideoFile(path)), fps=5.0))
    assert found.record.notes["source"]["pictures"] == 20 and found.record.notes["duration_ms"] == 3800
    assert "taken whole, 3.8 s" in found.warnings[0]
    found = prepared(clip_of(VideoFile(path), onset=4, offset=15))
    assert found.record.notes["source"]["pictures"] == 12 and found.warnings == ()


def test_a_face_that_fills_its_picture(tmp_path: Path) -> None:
    """A cropped layout: the face cut off at brows, cheeks and chin."""
    whole = write_frames(tmp_path / "whole", range(COUNT))
    cut = FrameFolder(tmp_path / "cut", tuple((n, tmp_path / f"cut{n}.png") for n, _ in whole.files))
    left, top = 82, 70
    for (_, source), (_, target) in zip(whole.files, cut.files, strict=True):
        assert cv2.imwrite(str(target), cv2.imread(str(source))[top : top + 122, left : left + 88])
    expected, found = prepared(clip_of(whole)).window, prepared(clip_of(cut, cropped=True)).window
    middle = (slice(None), slice(40, 90), slice(44, 84))
    shift = cv2.phaseCorrelate(np.float32(expected[middle][0, ..., 0]), np.float32(found[middle][0, ..., 0]))[0]
    assert np.hypot(*shift) < 2.5


def test_stored_crops_are_cut_and_scaled(tmp_path: Path) -> None:
    path = small_store(tmp_path / "store")
    stored = ClipStore.open(path)
    clip = clip_of(StoredClip(path, 0), onset=3, apex=5, offset=9)
    same = replace(FAST, frames=13, geometry=stored.manifest.crop)
    found = prepared(clip, same)
    np.testing.assert_array_equal(found.window[::2], stored.clips[0, 3:10])
    assert (found.record.apex_frame, found.record.peak_px) == (8, 1.5)
    half = prepared(
        clip, replace(same, geometry=replace(stored.manifest.crop, size_px=32, iod_px=11.0, eye_line_px=10.5))
    )
    assert half.window.shape == (13, 32, 32, 1) and half.record.peak_px == 0.75
    np.testing.assert_array_equal(
        half.window[0, ..., 0], cv2.resize(stored.clips[0, 3], (32, 32), interpolation=cv2.INTER_AREA)
    )
    with pytest.raises(ClipError, match="the store is grey"):
        prepared(clip, replace(same, colour="rgb"))


def test_changed_files_and_settings_never_meet_old_pieces(tmp_path: Path) -> None:
    clip = clip_of(write_frames(tmp_path / "clip", range(3)))
    keys = {piece_key(clip, FAST), piece_key(clip, replace(FAST, frames=10)), piece_key(replace(clip, apex=1), FAST)}
    (tmp_path / "clip" / "img1.png").write_bytes(b"")
    keys.add(piece_key(clip, FAST))
    assert len(keys) == 4

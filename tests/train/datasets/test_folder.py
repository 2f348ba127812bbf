"""The folder layout and the project's own stores as datasets."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from model.contract import CropGeometry
from tests.helpers.clips import empty_frames, write_track, write_video
from train.clips.store import ClipRecord, ClipStoreWriter, StoreManifest
from train.datasets import folder, synthetic
from train.datasets.source import DatasetError, FrameFolder, Reading, SourceClip, StoredClip, VideoFile


def video(path: Path, fps: float = 30.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, [frame[:64, :64] for frame in empty_frames(3)], fps)


def frames(path: Path, numbers: range) -> Path:
    path.mkdir(parents=True)
    for number in numbers:
        cv2.imwrite(str(path / f"img{number}.jpg"), np.full((16, 16, 3), 90, np.uint8))
    return path


def sheet(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def by_name(reading: Reading) -> dict[str, SourceClip]:
    return {clip.clip: clip for clip in reading.clips}


def reasons(reading: Reading, severity: str) -> list[str]:
    return [str(defect) for defect in reading.defects if defect.severity == severity]


def test_videos_and_folders_of_frames_by_class_and_subject(tmp_path: Path) -> None:
    root = tmp_path / "Mine"
    video(root / "Surprise" / "ann_1.mp4", fps=25)
    video(root / "negative" / "bob_x_2.MOV")
    frames(root / "negative" / "ann_2", range(98, 102))
    frames(root / "negative" / "ann_3" / "frames", range(5))
    (root / "negative" / ".DS_Store").write_text("")
    (root / "contempt").mkdir()
    video(root / "contempt" / "cid_1.avi")
    reading = folder.read(root)
    assert reading.classes == ("negative", "surprise", "contempt")
    assert [clip.id for clip in reading.clips] == [
        "mine/ann/negative/ann_2",
        "mine/ann/negative/ann_3",
        "mine/ann/surprise/ann_1",
        "mine/bob/negative/bob_x_2",
        "mine/cid/contempt/cid_1",
    ]
    clips = by_name(reading)
    assert clips["surprise/ann_1"].pictures == VideoFile(root / "Surprise" / "ann_1.mp4")
    assert clips["surprise/ann_1"].fps == 25 and clips["surprise/ann_1"].onset is None
    pictures = clips["negative/ann_2"].pictures
    assert isinstance(pictures, FrameFolder) and [number for number, _ in pictures.files] == [98, 99, 100, 101]
    assert reasons(reading, "error") == []
    (warning,) = reasons(reading, "warning")
    assert "negative/ann_2 and 1 more: frame rate not known, 30 fps assumed" in warning


def test_a_subject_sheet_names_the_people_of_videos_that_do_not(tmp_path: Path) -> None:
    for name in ("negative/1.mp4", "negative/2.mp4", "positive/1.mp4", "surprise/3.mp4"):
        video(tmp_path / "clips" / name)
    subjects = sheet(
        tmp_path / "s.csv",
        "File,Who,Subject",
        "negative/1.mp4,x,007",
        "C:\\data\\positive\\1.MP4,x,8",
        "2,x,007",
        "4,x,9",
    )
    reading = folder.read(tmp_path / "clips", subjects, dataset="lab")
    assert [(clip.subject, clip.clip) for clip in reading.clips] == [
        ("007", "negative/1"),
        ("007", "negative/2"),
        ("8", "positive/1"),
    ]
    assert {clip.dataset for clip in reading.clips} == {"lab"} and reading.sheets == (subjects,)
    (error,) = reasons(reading, "error")
    assert "(surprise/3): no subject for this clip" in error
    (warning,) = reasons(reading, "warning")
    assert "row 5: no clip '4' in the folders" in warning


def test_an_annotation_gives_frames_and_fps(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    for name in ("ann_1", "ann_2", "ann_3", "ann_4"):
        frames(root / "negative" / name, range(40, 60))
    lines = ("ann_1,41,50.0,58,200", "ann_2,41,,58,", "ann_3,forty,,58,200")
    annotation = sheet(tmp_path / "a.csv", "file,Onset Frame,Apex Frame,Offset Frame,fps", *lines)
    reading = folder.read(root, annotation=annotation)
    clips = by_name(reading)
    one, two = clips["negative/ann_1"], clips["negative/ann_2"]
    assert (one.onset, one.apex, one.offset, one.fps) == (41, 50, 58, 200)
    assert (two.onset, two.apex, two.offset, two.fps) == (41, None, 58, folder.ASSUMED_FPS)
    (error,) = reasons(reading, "error")
    assert "row 4 (negative/ann_3): Onset: expected a frame number, found 'forty'" in error
    assert any("(negative/ann_4): no row for this clip: taken whole" in text for text in reasons(reading, "warning"))
    assert "negative/ann_3" not in clips and clips["negative/ann_4"].offset is None


def test_one_sheet_may_tell_everything(tmp_path: Path) -> None:
    video(tmp_path / "clips" / "negative" / "1.mp4")
    told = sheet(tmp_path / "a.csv", "file,subject,onset,offset", "1,ann,0,2")
    (clip,) = folder.read(tmp_path / "clips", told).clips
    assert (clip.subject, clip.onset, clip.offset) == ("ann", 0, 2)


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    video(root / "negative" / "ann_1.mp4")
    video(root / "negative" / "ann_1.avi")
    video(root / "negative" / "noname.mp4")
    video(root / "loose_1.mp4")
    (root / "negative" / "cut_1.mp4").write_bytes(b"no video")
    (root / "negative" / "notes.txt").write_text("hello")
    (root / "negative" / "empty_1").mkdir()
    frames(root / "negative" / "two_1" / "a", range(2))
    frames(root / "negative" / "two_1" / "b", range(2))
    reading = folder.read(root)
    assert [clip.clip for clip in reading.clips] == ["negative/ann_1"]
    errors = "\n".join(reasons(reading, "error"))
    for part in (
        "the same clip as",
        "expected a name like <subject>_<clip>",
        "loose_1.mp4: not in the folder of a class",
        "cut_1.mp4 (negative/cut_1): holds no video",
        "empty_1 (negative/empty_1): expected one folder with frames in it, found 0",
        "two_1 (negative/two_1): expected one folder with frames in it, found 2",
    ):
        assert part in errors
    assert len(reasons(reading, "error")) == 6
    assert "notes.txt: neither a video" in "\n".join(reasons(reading, "warning"))


def test_a_name_in_two_classes_and_a_row_twice(tmp_path: Path) -> None:
    for name in ("negative/1.mp4", "positive/1.mp4"):
        video(tmp_path / "clips" / name)
    told = sheet(tmp_path / "a.csv", "file,subject", "1,ann", "negative/1,ann", "negative/1.mp4,bob", "positive/1,ann")
    reading = folder.read(tmp_path / "clips", told)
    assert [clip.subject for clip in reading.clips] == ["ann", "ann"]
    errors = reasons(reading, "error")
    assert "row 2: '1' is in several classes: write negative/1 or positive/1" in errors[0]
    assert "row 4 (negative/1): a second row for this clip, after row 3: the first is used" in errors[1]


def test_what_is_no_such_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected clips as <class>/<subject>_<clip>.*found none"):
        folder.read(tmp_path)
    video(tmp_path / "ann_1.mp4")
    with pytest.raises(DatasetError, match="1 videos right in it; give the folder above"):
        folder.read(tmp_path)
    video(tmp_path / "negative" / "ann_1.mp4")
    with pytest.raises(DatasetError, match="expected a column subject, or onset and offset"):
        folder.read(tmp_path, sheet(tmp_path / "a.csv", "file,mood", "ann_1,bad"))


def store(path: Path, labels: tuple[str, ...] = ("negative", "neutral"), seed: int = 1) -> Path:
    """A clip of each label: 12 frames, onset 3, apex 5, offset 9 or cut off."""
    manifest = StoreManifest(labels, 30.0, CropGeometry(64, 22.0, 21.0), "grey", 12, 2)
    with ClipStoreWriter(path, manifest) as writer:
        for index, label in enumerate(labels):
            onset, apex, offset = (None, None, None) if label == "neutral" else (3, 5, 9 if index == 0 else None)
            record = ClipRecord(f"clip-{seed}-{index}", "ann", label, "synthetic", ("4",), onset, apex, offset, 1.5, 2)
            pixels = np.random.default_rng(index).integers(0, 255, manifest.clip_shape).astype(np.uint8)
            writer.add(record, pixels)
    return path


def test_a_store_is_read_as_a_dataset(tmp_path: Path) -> None:
    path = store(tmp_path / "store", ("negative", "positive", "neutral"))
    reading = synthetic.read([path])
    assert reading.classes == ("negative", "positive", "neutral") and reading.dataset == "synthetic"
    one, cut, still = reading.clips
    assert one.id == "synthetic/ann/clip-1-0" and one.pictures == StoredClip(path, 0) and one.action_units == ("4",)
    assert (one.onset, one.apex, one.offset) == (3, 5, 9)
    assert (cut.onset, cut.apex, cut.offset) == (3, 5, 11)
    assert (still.onset, still.apex, still.offset) == (2, None, 11)
    warnings = reasons(reading, "warning")
    assert len(warnings) == 2 and "1 clips end before their offset" in warnings[0] and "neutral" in warnings[1]


def test_classes_of_a_store_can_be_left_out(tmp_path: Path) -> None:
    reading = synthetic.read([store(tmp_path / "store")], ("negative",))
    assert reading.classes == ("negative",) and [clip.label for clip in reading.clips] == ["negative", None]
    assert reading.defects == ()


def test_stores_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    first = store(tmp_path / "first")
    with pytest.raises(DatasetError, match="expected a clip store"):
        synthetic.read([tmp_path / "nowhere"])
    with pytest.raises(DatasetError, match="expected some of negative, neutral, found joy"):
        synthetic.read([first], ("joy",))
    with pytest.raises(DatasetError, match="clip synthetic/ann/clip-1-0 is in two stores"):
        synthetic.read([first, store(tmp_path / "second")])
    assert len(synthetic.read([first, store(tmp_path / "third", seed=2)]).clips) == 4


def test_a_set_filmed_faster_than_it_is_stored(tmp_path: Path) -> None:
    """--fps counts before the videos' own rate and the assumed one of folders, a sheet's fps before that."""
    root = tmp_path / "lab"
    video(root / "negative" / "ann_1.mp4")
    video(root / "negative" / "ann_2.mp4")
    frames(root / "negative" / "ann_3", range(5))
    told = sheet(tmp_path / "told.csv", "file,onset,offset,fps", "ann_2,0,2,120")
    reading = folder.read(root, annotation=told, filmed_fps=240.0)
    assert {clip.clip: clip.fps for clip in reading.clips} == {
        "negative/ann_1": 240.0,
        "negative/ann_2": 120.0,
        "negative/ann_3": 240.0,
    }
    assert not any("frame rate not known" in reason for reason in reasons(reading, "warning"))


def test_a_rate_in_a_videos_tags_is_offered(tmp_path: Path) -> None:
    (tmp_path / "lab" / "negative").mkdir(parents=True)
    path = tmp_path / "lab" / "negative" / "ann_1.mp4"
    write_track(
        path, [np.zeros((32, 32, 3), np.uint8)] * 3, [0, 1 / 30, 2 / 30], tags={"com.android.capture.fps": "240"}
    )
    reading = folder.read(tmp_path / "lab")
    assert reading.clips[0].fps == 30 and any("--fps 240" in reason for reason in reasons(reading, "warning"))
    assert reasons(folder.read(tmp_path / "lab", filmed_fps=240.0), "warning") == []

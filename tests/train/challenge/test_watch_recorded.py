"""Recorded pictures as a video: numbers, gaps and damaged files; and events told in frames."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.types import Event, Rejection
from stream.sources.base import SourceError
from tests.helpers.long_video_trees import MadeVideo, tiny, write_video_pictures
from train.challenge.watch_recorded import (
    UNREADABLE,
    FrameNumbers,
    NumberedPictures,
    RecordedWatcher,
    WatchStopped,
    frame_span,
    source_of,
    true_events,
)
from train.datasets.source import AnnotatedEvent, FrameFolder, SourceVideo, VideoFile
from train.errors import TrainError, UsageError

NUMBERS = (1294, 1295, 1299, 1300, 1301)


def pictures(folder: Path, numbers: tuple[int, ...] = NUMBERS) -> FrameFolder:
    write_video_pictures(folder, MadeVideo("a", "v", numbers), tiny, "{}.jpg")
    return FrameFolder(folder, tuple((number, folder / f"{number}.jpg") for number in numbers))


def video(pictures: FrameFolder | VideoFile | None, *events: AnnotatedEvent, fps: float = 30.0) -> SourceVideo:
    return SourceVideo("made", "a", "v", fps, pictures, events)


def test_times_follow_from_the_numbers_gaps_and_damaged_pictures_pass_too(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    (tmp_path / "1294.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (tmp_path / "1300.jpg").write_bytes(b"")
    with NumberedPictures(folder, 30.0, "v") as source:
        frames = list(source)
    assert (source.info.width_px, source.info.frames, source.info.live) == (8, 5, False)
    assert [round(30 * frame.time_s, 6) for frame in frames] == [1, 5, 7]
    assert [frame.index for frame in frames] == [1, 2, 4]
    np.testing.assert_array_equal(frames[1].image, cv2.imread(str(tmp_path / "1299.jpg")))
    assert source.losses == {"bad_frame": 2}
    assert source.remarks() == (f"pictures left out that cannot be read: 2, the first {tmp_path / '1294.jpg'}",)


def test_a_file_that_went_away_is_no_damaged_picture(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    (tmp_path / "1300.jpg").unlink()
    with NumberedPictures(folder, 30.0, "v") as source, pytest.raises(SourceError, match=r"1300\.jpg is not there any"):
        list(source)


def test_a_video_file_is_played_at_the_rate_of_its_dataset(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    with source_of(video(VideoFile(path, 1), fps=30.0)) as source:
        times = [frame.time_s for frame in source]
    np.testing.assert_allclose(times, np.arange(6) / 30)
    assert frame_span(video(VideoFile(path, 1)), 6) == (1, 6)
    with pytest.raises(ValueError, match="expected pictures, found none"):
        source_of(video(None))


def test_the_span_of_a_video(tmp_path: Path) -> None:
    event = AnnotatedEvent("micro", 1290, 1310)
    assert frame_span(video(pictures(tmp_path), event)) == (1294, 1301)
    assert frame_span(video(VideoFile(tmp_path / "v.avi", 1), event)) == (1, 1310)
    assert frame_span(video(None, event)) == (1290, 1310)
    assert frame_span(video(None)) == (0, 0)


def test_true_events_keep_their_numbers_and_classes() -> None:
    inside = AnnotatedEvent("micro", 5, 9, 7, "disgust", "negative")
    outside = AnnotatedEvent("macro", 20, 60, 61)
    told = true_events(video(None, inside, outside))
    assert [(e.kind, e.onset, e.apex, e.offset, e.label) for e in told] == [
        ("micro", 5, 7, 9, "negative"), ("macro", 20, None, 60, None),
    ]  # fmt: skip


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=40, unique=True).map(sorted),
    st.sampled_from([30.0, 200.0, 100.0, 29.97]),
    st.data(),
)
def test_an_event_from_frame_to_frame_has_their_numbers(steps: list[int], fps: float, data: st.DataObject) -> None:
    numbers = np.cumsum(steps) + 1000
    times_s = (numbers - numbers[0]) / fps
    ends = sorted(data.draw(st.lists(st.integers(0, len(numbers) - 1), min_size=3, max_size=3)))
    # A moment nearer to a frame than to any other is that frame's.
    onset_s, apex_s, offset_s = (float(times_s[end]) + data.draw(st.floats(-0.49, 0.49)) / fps for end in ends)
    onset_s, apex_s, offset_s = sorted((onset_s, apex_s, offset_s))
    event = Event(1, "micro", "negative", onset_s, apex_s, offset_s, 0.5, 1.0, probability=0.25)
    (found,) = FrameNumbers(times_s, numbers).found([event])
    assert (found.onset, found.apex, found.offset) == tuple(int(numbers[end]) for end in ends)
    assert found.frames == numbers[ends[2]] - numbers[ends[0]] + 1
    assert (found.label, found.probability) == ("negative", 0.25)


def test_what_can_never_count_is_left_out_and_the_rest_is_by_onset() -> None:
    def event(kind: str, onset_s: float, rejected: Rejection | None, probability: float | None) -> Event:
        return Event(1, kind, "positive", onset_s, onset_s, onset_s + 0.3, 0.5, 1.0, rejected, probability=probability)  # type: ignore[arg-type]

    events = [
        event("micro", 3.0, None, 0.9),
        event("micro", 1.0, "blink", 0.1),
        event("micro", 2.0, "calibrating", 0.9),
        event("micro", 2.0, "overlap", 0.9),
        event("macro", 2.5, None, None),
        event("macro", 4.0, "speech", None),
    ]
    found = FrameNumbers(np.arange(200) / 30, np.arange(200)).found(events)
    assert [(e.kind, e.onset, e.offset, e.probability) for e in found] == [
        ("micro", 30, 39, 0.1), ("macro", 75, 84, None), ("micro", 90, 99, 0.9),
    ]  # fmt: skip


def test_a_video_of_which_no_picture_can_be_read_has_nothing_found_in_it(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    for _, path in folder.files:
        path.write_bytes(b"nothing")
    watcher = RecordedWatcher(None)
    seen = watcher.watch(video(folder, AnnotatedEvent("micro", 1295, 1300)))
    assert seen.statuses == {UNREADABLE: 5}
    assert (seen.scored.found, seen.scored.watchable_s, len(seen.scored.truth)) == ((), 0.0, 1)
    assert (seen.scored.first, seen.scored.last) == (1294, 1301)
    folder.files[2][1].unlink()
    with pytest.raises(TrainError, match=r"^made/a/v: .*1299\.jpg is not there any more"):
        watcher.watch(video(folder))


def test_a_watcher_stops_at_the_next_frame(tmp_path: Path) -> None:
    asked: list[bool] = []
    watcher = RecordedWatcher(None, lambda: asked.append(True) or len(asked) == 3)  # type: ignore[func-returns-value]
    with pytest.raises(WatchStopped):
        watcher.watch(video(pictures(tmp_path)))
    assert len(asked) == 3


def test_a_model_that_is_none_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(UsageError, match=r"no\.onnx"):
        RecordedWatcher(tmp_path / "no.onnx")

"""Expressions in real clips: where they are told, and nowhere else is a picture touched."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.face.landmarks import FaceMeshDetector
from stream.sources.open import open_source
from tests.helpers.clips import empty_frames, write_video
from tests.helpers.faces import moved, portrait
from train.errors import TrainError
from train.synth.clip_scene import ClipScene, make_clip_video
from train.synth.long_video import LongVideo, Sampling
from train.synth.long_video_script import ScriptSettings
from train.synth.motion_curves import pose_at
from train.synth.render import Pose

FPS = 25.0
SCRIPT = ScriptSettings(
    duration_s=14.0, lead_s=2.0, gap_min_s=2.0, gap_max_s=3.0, peak_min_px=2.0, peak_max_px=4.0, talk_share=0.0,
    macro_share=0.0, rest_share=0.0, blinks_per_min=0.0, busy=0.0,
)  # fmt: skip
COUNT = 50


@pytest.fixture(scope="module")
def detector():
    with FaceMeshDetector(static=False) as detector:
        yield detector


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """Two seconds of a swaying face."""
    frames = [moved(portrait(), 4 * np.sin(i / 8), 3 * np.cos(i / 11), np.sin(i / 10))[0] for i in range(COUNT)]
    return write_video(tmp_path_factory.mktemp("clips") / "anna_1.mp4", frames, FPS)


@pytest.fixture(scope="module")
def pictures(path: Path) -> list[np.ndarray]:
    with open_source(str(path), "fast") as source:
        return [frame.image for frame in source]


@pytest.fixture(scope="module")
def video(path: Path, detector: FaceMeshDetector) -> LongVideo:
    return make_clip_video(path, 3, 0, SCRIPT, detector)


def scene_of(video: LongVideo) -> ClipScene:
    assert isinstance(video.scene, ClipScene)
    return video.scene


def source_number(time_s: float) -> int:
    """Of the picture that is shown: to and fro, the ends once."""
    way = [*range(COUNT), *range(COUNT - 2, 0, -1)]
    return way[round(time_s * FPS) % len(way)]


def changes(video: LongVideo, pictures: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Times, and how many grey levels the most changed pixels are off the clip's own picture."""
    times, off = [], []
    for time_s, picture in video.frames(Sampling(FPS)):
        difference = cv2.absdiff(picture, pictures[source_number(time_s)])
        times.append(time_s)
        off.append(float(np.percentile(difference, 99.9)))
    return np.array(times), np.array(off)


def test_it_says_what_it_is_made_of(video):
    assert (video.people, video.name) == (("anna",), "clip-3-anna_1")
    scene = scene_of(video)
    assert scene.fps == pytest.approx(FPS) and scene.seconds == pytest.approx(COUNT / FPS)
    assert (video.view.width_px, video.view.height_px) == (512, 512)
    assert len(video.events) >= 2 and {event.kind for event in video.events} == {"micro"}


def test_faces_move_at_the_times_told_and_nowhere_else(video, pictures):
    times_s, off = changes(video, pictures)
    acting = np.zeros(len(times_s), bool)
    for event in video.events:
        acting |= (times_s > event.onset_s - 0.06) & (times_s < event.offset_s + 0.06)
        near = np.abs(times_s - event.apex_s) <= 1 / FPS
        assert off[near].max() > 8
    # Untouched, to the last pixel.
    assert off[~acting].max() == 0


def test_it_goes_to_and_fro(video, pictures):
    scene = scene_of(video)
    for number in (0, 1, COUNT - 1, COUNT, 2 * COUNT - 3, 2 * COUNT - 2, 7 * COUNT):
        shown = scene.draw([Pose()], number / FPS)
        assert np.array_equal(shown, pictures[source_number(number / FPS)])
    assert scene.draw([Pose()], 0.0) is not scene.draw([Pose()], 0.0)


def test_only_the_face_is_warped(video, pictures):
    event = video.events[0]
    pose = pose_at(video.scripts[0].motions, event.apex_s)
    scene = scene_of(video)
    difference = cv2.absdiff(scene.draw([pose], event.apex_s), pictures[source_number(event.apex_s)]).max(axis=2)
    (there,) = scene.whereabouts(event.apex_s)
    rows, columns = np.mgrid[:512, :512]
    far = np.hypot(columns - there.eyes_px[0], rows - there.eyes_px[1]) > 3.2 * there.iod_px
    assert difference.max() > 8 and difference[far].max() == 0


def test_the_face_is_where_it_is_said_to_be(video, pictures, detector):
    scene = scene_of(video)
    for number in (0, 12, 31):
        (there,) = scene.whereabouts(number / FPS)
        (found, *_) = detector.detect(pictures[number])
        left, right = found[33], found[263]
        assert np.hypot(*((left + right) / 2 - there.eyes_px)) < 0.15 * there.iod_px


def test_the_same_seed_gives_the_same_video(path):
    made = []
    for index in (0, 0, 1):
        with FaceMeshDetector(static=False) as fresh:
            made.append(make_clip_video(path, 3, index, SCRIPT, fresh).events)
    assert made[0] == made[1] != made[2]


def test_clips_that_cannot_be_used_say_why(tmp_path, detector):
    short = write_video(tmp_path / "ben_1.mp4", [portrait()] * 10, FPS)
    with pytest.raises(TrainError, match=r"ben_1.mp4: expected 1\.5 s or more, found 0\.4 s"):
        make_clip_video(short, 1, 0, SCRIPT, detector)
    nobody = write_video(tmp_path / "ben_2.mp4", empty_frames(45), FPS)
    with pytest.raises(TrainError, match="a face is seen in"):
        make_clip_video(nobody, 1, 0, SCRIPT, detector)
    (tmp_path / "ben_3.mp4").write_bytes(b"no video")
    with pytest.raises(TrainError):
        make_clip_video(tmp_path / "ben_3.mp4", 1, 0, SCRIPT, detector)

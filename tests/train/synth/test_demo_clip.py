"""The demo's source: repeatable, cheap to import, and true to the events it announces."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from model.contract import CropGeometry
from model.preprocess import crop_face, eye_transform
from stream.face.align import MotionAligner
from stream.face.landmarks import FaceMeshDetector, eye_centres
from stream.sources.demo import DemoEvent, DemoSource
from train.synth.demo_clip import DemoClip
from train.synth.faces import astronaut, find_landmarks

GEOMETRY = CropGeometry()


@pytest.fixture(scope="module")
def demo() -> DemoClip:
    return DemoClip()


def test_stored_landmarks_are_what_face_mesh_finds() -> None:
    face = astronaut()
    with FaceMeshDetector(static=True) as detector:
        found = find_landmarks(face.image, detector)
    assert np.abs(found - face.landmarks).max() < 1.0


def test_frames_are_bgr_and_repeat(demo: DemoClip) -> None:
    first = demo.frame(0)
    assert first.shape == (demo.size_px, demo.size_px, 3) and first.dtype == np.uint8
    again = iter(DemoClip())
    for index in range(3):
        np.testing.assert_array_equal(next(again), demo.frame(index))
    assert not np.array_equal(DemoClip(seed=1).frame(0), first)
    assert len(demo) == demo.frames
    with pytest.raises(IndexError, match="expected 0 to 419, found 420"):
        demo.frame(420)


def test_it_announces_one_micro_expression_of_each_class(demo: DemoClip) -> None:
    assert sorted(event.label for event in demo.events) == ["negative", "positive", "surprise"]
    end_s = 0.0
    for event in demo.events:
        # The first window must be full before, and windows must not share events.
        assert event.onset_s > end_s + 1.5
        assert event.onset_s < event.apex_s < event.offset_s
        assert 0.3 <= event.offset_s - event.onset_s <= 0.45 and 2.0 <= event.peak_px <= 2.8
        end_s = event.offset_s
    assert end_s + 1.0 < demo.frames / demo.fps


@pytest.mark.parametrize("number", range(3))
def test_events_show_when_and_where_they_should(demo: DemoClip, number: int) -> None:
    event = demo.events[number]
    flow_of = _aligned_flow(demo, event)
    at_apex = flow_of(event.apex_s)
    before, after = flow_of(event.onset_s - 0.1), flow_of(event.offset_s + 0.1)
    moved = [
        np.quantile(np.hypot(flow[..., 0], flow[..., 1])[20:110, 24:104], 0.99) for flow in (before, at_apex, after)
    ]
    assert 0.5 * event.peak_px < moved[1] < 1.6 * event.peak_px
    assert moved[0] < 0.3 * moved[1] and moved[2] < 0.6 * moved[1]
    brows, mouth = (np.mean(at_apex[rows, 36:92], axis=(0, 1)) for rows in (slice(22, 36), slice(78, 96)))
    if event.label == "surprise":
        assert brows[1] < -0.4 and abs(mouth[1]) < 0.4
    elif event.label == "negative":
        assert brows[1] > 0.3
    else:
        left, right = at_apex[70:96, 24:48], at_apex[70:96, 80:104]
        assert left[..., 0].mean() < -0.2 < 0.2 < right[..., 0].mean() and left[..., 1].mean() < -0.2


def _aligned_flow(demo: DemoClip, event: DemoEvent):
    """A function from a time to the dense flow since a fifth of a second before the onset, aligned as live."""
    start = round((event.onset_s - 0.2) * demo.fps)
    frame = demo.frame(start)
    with FaceMeshDetector(static=True) as detector:
        landmarks = detector.detect_with_depth(frame)[0]
    transform = eye_transform(*eye_centres(landmarks[:, :2]), GEOMETRY)
    aligner = MotionAligner(GEOMETRY)
    aligner.rekey(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), landmarks, transform)
    crops = {start: crop_face(frame, transform, GEOMETRY, "grey")}
    for index in range(start + 1, round((event.offset_s + 0.2) * demo.fps)):
        frame = demo.frame(index)
        alignment = aligner.step(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
        assert alignment.tracked
        crops[index] = crop_face(frame, alignment.transform, GEOMETRY, "grey", alignment.shift_px)
    dense = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def flow_at(time_s: float) -> np.ndarray:
        flow = dense.calc(crops[start], crops[round(time_s * demo.fps)], None)  # type: ignore[call-overload]
        flow = cv2.GaussianBlur(flow, (0, 0), 1.5)
        return flow - np.median(flow.reshape(-1, 2), axis=0)

    return flow_at


def test_the_clip_that_ships_is_what_is_drawn(demo: DemoClip) -> None:
    with DemoSource("fast") as source:
        frames = list(source)
        assert source.events == demo.events and source.info.name == "demo"
    assert len(frames) == len(demo)
    for frame in frames[:: len(frames) // 20]:
        assert frame.time_s == pytest.approx(frame.index / demo.fps, abs=1e-3)
        # The drawn picture has sensor noise, which no encoder keeps.
        assert cv2.PSNR(frame.image, demo.frame(frame.index)) > 36


def test_importing_the_demo_stays_light() -> None:
    script = "import sys, train.synth.demo_clip; print(*sys.modules, sep='\\n')"
    loaded = set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "cv2" in loaded
    assert not loaded & {"tensorflow", "keras", "jax", "matplotlib", "skimage", "scipy", "mediapipe", "rich"}

"""Crops drawn directly: the motion of the exact path, the light, lids and lips of a face, and the same bytes every time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, fields, replace
from functools import cache, partial

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model.contract import CropGeometry
from stream.face.align import AlignSettings, MotionAligner
from train.synth.clip import ClipSettings, ClipSpec, draw_clip, make_clip
from train.synth.confounders import Confounders
from train.synth.drawn import drawn_face
from train.synth.faces import astronaut
from train.synth.fast import FastFace, course, fast_crops, followed, residual, similarity_basis
from train.synth.fields import PITCH, YAW
from train.synth.motion_curves import (
    BLINK_LEFT,
    BLINK_RIGHT,
    HEAD_ROLL,
    HEAD_X,
    LIGHT,
    Envelope,
    Oscillation,
    Pulse,
    expression_pulses,
    pose_at,
)
from train.synth.render import FaceModel, Pose, head_motions
from train.synth.sensor import Sensor

SETTINGS = ClipSettings(peak_min_px=2.0, peak_max_px=2.5)
APEX = 35


@cache
def face(colour: str = "grey", geometry: CropGeometry | None = None) -> FastFace:
    return FastFace(model(), geometry or CropGeometry(), colour)  # type: ignore[arg-type]


@cache
def model() -> FaceModel:
    return FaceModel(astronaut())


def spec_of(label: str, seed: int, *motions: Pulse | Oscillation) -> ClipSpec:
    """A clip of a class whose apex is at `APEX`, with hardly any noise and these confounders alone."""
    drawn = draw_clip(np.random.default_rng(seed), label, SETTINGS)
    assert drawn.expression is None or drawn.expression.kind == "micro"
    at = APEX / 30
    expression = drawn.expression and replace(
        drawn.expression, envelope=Envelope(at - 0.2, at, at, at + 0.2), max_intensity=1.0
    )
    confounders = Confounders(motions, Sensor(0.3, None), ())
    return replace(drawn, expression=expression, confounders=confounders, repeats=())


def still(*motions: Pulse | Oscillation) -> ClipSpec:
    return replace(spec_of("positive", 1, *motions), expression=None, label="neutral")


def flow(before: NDArray, after: NDArray) -> NDArray[np.float32]:
    """Motion between two crops, the middle of the face, without what all of it does alike."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = cv2.GaussianBlur(dis.calc(before, after, None), (0, 0), 2.0)[20:115, 24:104]  # type: ignore[call-overload]
    return found - np.median(found.reshape(-1, 2), axis=0)


@pytest.mark.parametrize("label", ["negative", "positive", "surprise"])
def test_the_motion_at_the_apex_is_that_of_the_exact_path(label):
    """The exact path draws a camera's frame at another scale and has the live alignment find the face in it."""
    sway = (Oscillation(HEAD_X, 0.03, 0.7, 0.2), Oscillation(HEAD_ROLL, 0.8, 0.9, 1.0), Oscillation(YAW, 0.6, 0.3, 0.5))
    spec = spec_of(label, 3, *sway)
    exact, _ = make_clip(model(), spec, SETTINGS)
    drawn = fast_crops(face(), spec, range(SETTINGS.frames))
    rest = APEX - 10
    one, two = (flow(crops[rest], crops[APEX]).ravel() for crops in (exact[..., 0], drawn))
    assert np.corrcoef(one, two)[0, 1] > 0.9
    assert two.std() == pytest.approx(one.std(), rel=0.2)
    assert np.abs(exact[rest, ..., 0].astype(float) - drawn[rest]).mean() < 4


def test_a_turn_is_taken_out_as_in_the_exact_path(monkeypatch):
    """A turn of two degrees and no expression: the alignment follows it, and next to nothing is left in either."""
    turn = Envelope(0.8, 1.1, 1.2, 1.5)
    spec = still(Pulse(YAW, 2.0, turn), Pulse(PITCH, -1.5, turn))
    exact, _ = make_clip(model(), spec, SETTINGS)
    drawn = fast_crops(face(), spec, range(SETTINGS.frames))
    one, two = (flow(crops[20], crops[34]).ravel() for crops in (exact[..., 0], drawn))
    assert max(one.std(), two.std()) < 0.1
    # It is a turn that would be seen if it were not followed.
    not_turning = partial(MotionAligner, settings=AlignSettings(rigid_steps=0))
    monkeypatch.setattr("train.synth.clip.MotionAligner", not_turning)
    left, _ = make_clip(model(), spec, SETTINGS)
    assert flow(left[20, ..., 0], left[34, ..., 0]).std() > 2 * one.std()


def test_head_motion_in_the_picture_plane_is_taken_out_of_the_face():
    spec = still(Oscillation(HEAD_X, 0.2, 0.4, 0.0), Oscillation(HEAD_ROLL, 5.0, 0.4, 0.0))
    spec = replace(spec, camera=replace(spec.camera, body_follows=1.0))
    crops = fast_crops(face(), spec, range(50)).astype(float)
    assert np.abs(crops[:, 30:100, 34:94] - crops[0, 30:100, 34:94]).mean() < 1.0


def test_a_moving_head_leaves_the_background_behind():
    spec = still(Oscillation(HEAD_X, 0.1, 0.4, 0.0))
    still_body, all_moves = (
        fast_crops(face(), replace(spec, camera=replace(spec.camera, body_follows=share)), (0, 18)).astype(float)
        for share in (0.0, 1.0)
    )
    change = [np.abs(crops[1] - crops[0])[:, :6].mean() for crops in (still_body, all_moves)]
    assert change[0] > 3 * change[1]


def test_a_blink_covers_the_eyes_and_light_changes_all():
    shut = Envelope(0.5, 0.6, 0.8, 0.9)
    blink = fast_crops(face(), still(Pulse(BLINK_LEFT, 1.0, shut), Pulse(BLINK_RIGHT, 1.0, shut)), (3, 21)).astype(int)
    change = np.abs(blink[1] - blink[0])
    assert change[34:52, 30:98].mean() > 4 * change[70:120, 20:110].mean()
    lit = fast_crops(face(), still(Pulse(LIGHT, -0.3, shut)), (3, 21)).astype(float)
    assert lit[1].mean() / lit[0].mean() == pytest.approx(0.7, abs=0.01)


def test_lips_part_along_their_seam():
    """The jaw drops: the lower lip goes down and leaves a dark gap; the upper one stays."""
    closed = drawn_face(1)
    lips = FastFace(FaceModel(closed), CropGeometry(), "grey")
    opens = Envelope(0.5, 0.6, 0.8, 0.9)
    spec = replace(still(*(Pulse(f"{unit}{side}", 0.5, opens) for unit in (25, 26) for side in "LR")), shading=0.0)
    crops = fast_crops(lips, spec, (3, 21)).astype(float)
    mouth = slice(72, 108), slice(52, 76)
    assert crops[1][mouth].min() < crops[0][mouth].min() - 10
    assert np.abs(crops[1] - crops[0])[:60].mean() < 1.0


def test_the_same_clip_from_any_thread_and_after_others():
    specs = [draw_clip(np.random.default_rng(seed), "surprise", SETTINGS) for seed in range(4)]
    frames = (1, 10, *range(20, 50))
    alone = [fast_crops(face(), spec, frames) for spec in specs]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda spec: fast_crops(face(), spec, frames), specs))
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(alone[0], alone[1])


def test_colour_crops_are_the_grey_ones_in_colour():
    spec = spec_of("positive", 5)
    grey, rgb = (fast_crops(face(colour), spec, (0, APEX)) for colour in ("grey", "rgb"))
    assert rgb.shape == (2, 128, 128, 3)
    seen = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in rgb]).astype(float)
    assert np.abs(seen - grey).mean() < 1.5
    assert rgb[..., 0].mean() > rgb[..., 2].mean() + 5  # skin is red


@pytest.mark.parametrize("size", [64, 96])
def test_other_crops_show_the_same_face_smaller(size):
    spec = spec_of("positive", 5)
    large = fast_crops(face(), spec, (0,))[0]
    small = fast_crops(face(geometry=CropGeometry(size, 44 * size / 128, 42 * size / 128)), spec, (0,))[0]
    shrunk = cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA).astype(float)
    inner = slice(4, size - 4)
    assert np.abs(shrunk - small)[inner, inner].mean() < 9


def test_every_part_of_a_pose_is_drawn():
    """A part that the exact renderer learns must be learnt by the fast one too."""
    assert {field.name for field in fields(Pose)} == {"gains", "head", "blink", "light", "light_slope"}


def test_a_course_is_the_pose_of_every_frame():
    for seed in range(6):
        drawn = draw_clip(np.random.default_rng(seed), "surprise", SETTINGS)
        assert drawn.expression is not None
        pulses = expression_pulses({"1L": 0.4, "1R": 0.3}, drawn.expression.envelope)
        motions = (*drawn.confounders.motions, *pulses, Pulse(BLINK_LEFT, 1.4, Envelope(0.2, 0.3, 0.4, 0.6, 0.1)))
        times_s = [index / 30 for index in range(SETTINGS.frames)]
        seen = course(motions, times_s)
        for index, time_s in enumerate(times_s):
            pose = pose_at(motions, time_s)
            gains = {name: gain for name, gain in zip(seen.names, seen.gains[index].tolist(), strict=True) if gain}
            assert gains == pytest.approx(dict(pose.gains), abs=1e-6)
            assert tuple(seen.head[:, index]) == pytest.approx(astuple(pose.head), abs=1e-9)
            assert tuple(seen.blink[index]) == pytest.approx(pose.blink)
            assert (seen.light[index], seen.light_slope[index]) == pytest.approx(
                (pose.light, pose.light_slope), abs=1e-6
            )
            there = head_motions(*seen.head[:, [index]])[0]
            np.testing.assert_allclose(there, cv2.invertAffineTransform(pose.head.inverse()), atol=1e-9)


def test_the_alignment_follows_what_most_corners_do():
    rng, middle = np.random.default_rng(2), np.array([64.0, 64.0])
    points = rng.uniform(30, 100, (200, 2)).astype(np.float32)
    gains = np.array([[0.0, 0.0, 0.0, 0.0], [1.5, -2.0, 0.01, -0.02]])
    moved = np.einsum("fk,kni->fni", gains, similarity_basis(points, middle)).astype(np.float32)
    moved[1, :60] += (0.0, -3.0)  # brows that rise by themselves
    np.testing.assert_allclose(followed(moved, points, middle), gains, atol=1e-3)


def test_the_alignment_errors_are_small_and_go_on_between_neighbours():
    errors = np.stack([residual(np.random.default_rng(seed), (np.arange(300) / 30).tolist()) for seed in range(40)])
    shifts = errors[..., :2]
    assert 0.03 < shifts.std() < 0.08
    assert np.corrcoef(shifts[:, :-1].ravel(), shifts[:, 1:].ravel())[0, 1] > 0.5
    assert abs(np.corrcoef(shifts[:, :-60].ravel(), shifts[:, 60:].ravel())[0, 1]) < 0.1

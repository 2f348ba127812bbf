"""What is no expression: the same for every class, out of the expression's way, and as it should be in pictures."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.helpers.motion_statistics import apex_motion, measure
from train.synth.action_units import CLASS_NAMES, UnitShare, draw_expression
from train.synth.clip import ClipSettings, ClipSpec, draw_clip, make_clip
from train.synth.confounders import (
    BROW_UNITS,
    MOUTH_UNITS,
    Spared,
    draw_confounders,
    draw_texture,
    jolt,
    mouth_act,
    quick_move,
    smears,
    speaking_brows,
    speech,
    turn,
)
from train.synth.drawn import drawn_face
from train.synth.faces import astronaut, mean_depth, mean_shape, mirror_map
from train.synth.fields import NODES, PITCH, YAW, build_fields, channel, grid_points
from train.synth.generate import ClipPlan
from train.synth.motion_curves import HEAD_X, HEAD_Y, Envelope, Pulse, drift_envelope, pose_at
from train.synth.render import FaceModel
from train.synth.sensor import FocusHunt, Sensor, SensorModel, Tone

SETTINGS = ClipSettings()
EVENTS = CLASS_NAMES[:3]


def drawn(seed: int, label: str, settings: ClipSettings = SETTINGS) -> ClipSpec:
    return draw_clip(np.random.default_rng(seed), label, settings)


# --- alike in every class -----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_a_seed_gives_every_class_the_same_picture_and_confounders(seed: int) -> None:
    specs = [drawn(seed, label) for label in CLASS_NAMES]
    for one, other in itertools.combinations(specs, 2):
        assert (one.camera, one.shading, one.noise_seed, one.eye_jitter_px) == (
            other.camera, other.shading, other.noise_seed, other.eye_jitter_px,
        )  # fmt: skip
        assert (one.fps, one.repeats) == (other.fps, other.repeats)
        assert one.confounders.sensor == other.confounders.sensor
        if all(spec.expression is None or spec.expression.peak_px <= 3 for spec in (one, other)):
            np.testing.assert_array_equal(one.texture, other.texture)
        apart = set(one.confounders.motions) ^ set(other.confounders.motions)
        regions = {channel(number, side) for number in BROW_UNITS | MOUTH_UNITS for side in "LR"}
        assert {motion.channel for motion in apart} <= regions


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), label=st.sampled_from(EVENTS))
def test_nothing_hides_an_expression_in_its_own_region(seed: int, label: str) -> None:
    spec = drawn(seed, label)
    assert spec.expression is not None
    numbers = {unit.number for unit in spec.expression.units}
    start_s, end_s = spec.expression.envelope.onset_s, spec.expression.envelope.offset_s
    for region in (BROW_UNITS, MOUTH_UNITS):
        if numbers & region:
            names = {channel(number, side) for number in region for side in "LR"}
            assert not any(
                motion.channel in names and motion.at(time_s) != 0
                for motion in spec.confounders.motions
                for time_s in np.linspace(start_s, end_s, 9)
            )


def test_speech_goes_on_beside_an_expression_of_the_brows() -> None:
    brows = Spared(frozenset({1, 2}), 0.0, 10.0)
    talks = [draw_confounders(np.random.default_rng(seed), 50, 30.0, brows) for seed in range(200)]
    assert 0.2 < np.mean(["speech" in talk.notes for talk in talks]) < 0.4
    assert not any(motion.channel in ("1L", "4R") for talk in talks for motion in talk.motions)


def test_every_confounder_happens() -> None:
    counts = {name: 0 for name in (
        "blink", "gaze", "lids", "speech", "brows", "mouth", "exposure_step", "shadow", "quick_head", "jolt", "slow_head",
        "head_turn", "flicker", "video", "tone", "white_balance_step", "defocus", "focus_hunt",
    )}  # fmt: skip
    repeats = 0
    for seed in range(300):
        spec = drawn(seed, "neutral", ClipSettings(hard_share=1.0))
        repeats += bool(spec.repeats)
        for note in spec.confounders.notes[1:]:
            counts[note] += 1
    assert all(3 <= count <= 200 for count in counts.values()), counts
    assert 8 < repeats < 50


def test_hard_clips_are_as_many_as_asked_for_and_have_more_of_the_rarer_confounders() -> None:
    specs = [drawn(seed, "surprise", ClipSettings(hard_share=0.4)) for seed in range(400)]
    hard = [spec.confounders.notes for spec in specs if "hard" in spec.confounders.notes]
    calm = [spec.confounders.notes for spec in specs if "hard" not in spec.confounders.notes]
    assert 0.3 < len(hard) / len(specs) < 0.5
    for name in ("speech", "quick_head", "defocus", "video"):
        assert np.mean([name in notes for notes in hard]) > 2 * np.mean([name in notes for notes in calm])
    assert np.mean(["blink" in notes for notes in calm]) > 0.2
    assert not any(
        "hard" in drawn(seed, "surprise", ClipSettings(hard_share=0)).confounders.notes for seed in range(50)
    )


# --- faces --------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32))
def test_brows_that_speak_and_mouths_that_act_are_slower_than_micro_expressions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for pulse in (*speaking_brows(rng, 1.0), *mouth_act(rng, 1.0)):
        assert pulse.envelope.duration_s > 0.5 and pulse.envelope.apex_s - pulse.envelope.onset_s >= 0.2
    for pulse in speech(rng, 0.5, 1.0):
        assert 0.5 <= pulse.envelope.onset_s < 1.5 and pulse.envelope.duration_s <= 0.25


def test_units_of_the_midline_act_on_both_sides_beside_one_sided_ones() -> None:
    rng = np.random.default_rng(4)
    mixed = 0
    for _ in range(600):
        units = draw_expression(rng, "negative")
        sides = {unit.number: bool(unit.left and unit.right) for unit in units}
        if not all(sides.values()) and set(sides) - {1, 4, 17, 24, 25, 26}:
            assert all(both for number, both in sides.items() if number in {1, 4, 17, 24, 25, 26})
            mixed += 4 in sides
    assert mixed > 5


def test_motion_is_as_strong_with_texture_but_rougher() -> None:
    smooth = np.zeros((NODES, NODES, 2), np.float32)
    smooth[..., 1] = np.exp(-((grid_points() - (0, 0.5)) ** 2).sum(axis=-1) / 0.08)
    moved = [np.einsum("hwij,hwj->hwi", draw_texture(np.random.default_rng(seed), 1.0), smooth) for seed in range(20)]
    np.testing.assert_allclose(np.mean(moved, axis=0), smooth, atol=0.35)
    steps = [np.abs(np.diff(field, axis=0)).mean() for field in moved]
    assert np.median(steps) > 1.2 * np.abs(np.diff(smooth, axis=0)).mean()
    flat = draw_texture(np.random.default_rng(0), 0.0)
    np.testing.assert_array_equal(flat, np.broadcast_to(np.eye(2, dtype=np.float32), flat.shape))


# --- heads --------------------------------------------------------------------------------------------------------


def test_a_turned_head_moves_the_nose_against_the_cheeks() -> None:
    depth, mirror = mean_depth(), mirror_map()
    np.testing.assert_allclose(depth[mirror], depth, atol=0.05)
    assert depth[4] > 0.5 and depth[234] < -0.4
    fields = build_fields(mean_shape(), mirror)
    for name, axis in ((YAW, 0), (PITCH, 1)):
        field = fields.displacement(fields.weights({name: 1.0}))

        def at(landmark: int, moved: np.ndarray = field, axis: int = axis) -> float:
            nearest = ((grid_points() - mean_shape()[landmark]) ** 2).sum(axis=-1).argmin()
            return float(moved.reshape(-1, 2)[nearest, axis])

        assert at(4) > 0.005 and at(127) < -0.002  # nose, the image's left temple
        # One degree moves by the depth between them.
        assert at(4) - at(50) == pytest.approx(np.radians(1) * (depth[4] - depth[50]), rel=0.25)
        assert np.abs(field[..., 1 - axis]).max() == 0


def test_heads_go_some_pixels_quickly_and_turn_some_degrees() -> None:
    rng = np.random.default_rng(3)
    reached = []
    for _ in range(200):
        move = {pulse.channel: pulse for pulse in quick_move(rng, 0.5, 2.0)}
        reached.append(44 * np.hypot(move[HEAD_X].gain, move[HEAD_Y].gain))
        assert move[HEAD_X].envelope.apex_s - 0.5 <= 0.45 and abs(move[YAW].gain) <= 4.5
        assert move[HEAD_X].at(0.5) == 0
    assert 0.8 < min(reached) < 1.5 and 5 < max(reached) < 6.5
    turns = np.array([[abs(swing.amplitude) for swing in turn(rng)] for _ in range(400)]).max(axis=1)
    assert 0.1 < (turns > 1.5).mean() < 0.4 and turns.max() < 4.6


def test_a_jolt_is_over_within_a_frame() -> None:
    for seed in range(40):
        pulses = jolt(np.random.default_rng(seed), 1.0, 2.0, 30.0)
        xs = [pose_at(pulses, 1.0 + step / 30 / 8).head.x_iod for step in range(-8, 24)]
        changing = [i for i in range(31) if xs[i] != xs[i + 1]]
        assert len(changing) > 0 and (max(changing) - min(changing)) <= 10


def test_smears_follow_the_head_while_the_shutter_is_open() -> None:
    move = Pulse(HEAD_X, 0.1, Envelope(1.0, 1.2, 3.0, 4.0))
    found = np.array(smears([move], 0.02, 60, 30.0))
    assert found[:29].max() == 0 and found[:, 1].max() == 0
    assert found[33, 0] == pytest.approx(0.1 * np.pi / 2 / 0.2 * 0.02, rel=0.1)


# --- sensor -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return FaceModel(drawn_face(0)).picture[100:260:1, 100:300]


def sharpness(image: np.ndarray, axis: int) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=axis)).mean())


@pytest.mark.parametrize("colour", [True, False])
def test_sensors_take_any_picture(picture: np.ndarray, colour: bool) -> None:
    image = picture[:, :157] if colour else np.ascontiguousarray(picture[:, :157, 1])
    for seed in range(25):
        sensor = drawn(seed, "neutral").confounders.sensor
        one, other = (SensorModel(sensor, image.shape, seed) for _ in range(2))
        for index in range(4):
            taken = one.photograph(image, index)
            assert taken.shape == image.shape and taken.dtype == np.uint8
            np.testing.assert_array_equal(taken, other.photograph(image, index))


def test_blur_and_smear(picture: np.ndarray) -> None:
    def photograph(sensor: Sensor, index: int = 0, iod_px: float = 44.0) -> np.ndarray:
        return SensorModel(sensor, picture.shape, 0, iod_px).photograph(picture, index)

    np.testing.assert_array_equal(photograph(Sensor(0.0, None)), picture)
    blurred = photograph(Sensor(0.0, None, defocus_px=1.0))
    assert sharpness(blurred, 0) < 0.9 * sharpness(picture, 0)
    assert sharpness(photograph(Sensor(0.0, None, defocus_px=1.0), iod_px=88.0), 0) < sharpness(blurred, 0)
    smeared = Sensor(0.0, None, smears=((0.0, 0.0), (0.15, 0.0)))
    np.testing.assert_array_equal(photograph(smeared, 0), picture)
    np.testing.assert_array_equal(photograph(smeared, 2), picture)
    assert sharpness(photograph(smeared, 1), 1) < 0.8 * sharpness(picture, 1)
    stripes = np.ascontiguousarray(np.broadcast_to(picture[:, :1], picture.shape))
    np.testing.assert_allclose(SensorModel(smeared, picture.shape, 0).photograph(stripes, 1), stripes, atol=1)
    hunting = Sensor(0.0, None, focus_hunt=FocusHunt(2, 8, 1.5))
    np.testing.assert_array_equal(photograph(hunting, 2), picture)
    np.testing.assert_array_equal(photograph(hunting, 10), picture)
    assert sharpness(photograph(hunting, 6), 0) < 0.85 * sharpness(picture, 0)


def test_white_balance_steps() -> None:
    grey = np.full((40, 50), 120, np.uint8)
    bgr = np.dstack([grey] * 3)
    sensor = Sensor(0.0, None, tones=(Tone(3, 4, (1.2, 1.0, 0.8)),))
    colour, plain = SensorModel(sensor, bgr.shape, 0), SensorModel(sensor, grey.shape, 0)
    np.testing.assert_array_equal(colour.photograph(bgr, 3), bgr)
    np.testing.assert_array_equal(colour.photograph(bgr, 7)[0, 0], [144, 120, 96])
    half = colour.photograph(bgr, 5)[0, 0]
    assert 120 < half[0] < 144 and 96 < half[2] < 120
    assert plain.photograph(grey, 9)[0, 0] == round(120 * (1.2 * 0.114 + 0.587 + 0.8 * 0.299))
    bent = SensorModel(Sensor(0.0, None, tones=(Tone(-1, 1, gamma=1.5),)), grey.shape, 0)
    ramp = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (40, 1))
    np.testing.assert_array_equal(bent.photograph(ramp, 0)[0], np.rint(255 * (ramp[0] / 255) ** 1.5))


def test_grain_keeps_the_strength_of_the_noise() -> None:
    flat = np.full((64, 64), 128, np.uint8)
    fine, coarse = (SensorModel(Sensor(4.0, None, grain_px=grain), flat.shape, 3).photograph(flat, 0) - 128.0
                    for grain in (0.0, 0.8))  # fmt: skip
    assert coarse.std() == pytest.approx(fine.std(), rel=0.15)
    beside = [np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1] for noise in (fine, coarse)]
    assert abs(beside[0]) < 0.1 < 0.3 < beside[1]


def test_video_compression_holds_what_hardly_changes(picture: np.ndarray) -> None:
    video = Sensor(0.0, 50, keyframe_every=6, keyframe_phase=2)
    sensor = SensorModel(video, picture.shape, 0)
    taken = [sensor.photograph(picture, index) for index in range(9)]
    single = SensorModel(Sensor(0.0, 50), picture.shape, 0).photograph(picture, 0)
    np.testing.assert_array_equal(taken[0], single)
    np.testing.assert_array_equal(taken[4], single)  # a keyframe
    steps = [np.abs(after.astype(int) - before).mean() for before, after in itertools.pairwise(taken)]
    assert steps[0] > steps[1] > steps[2]  # a still picture gets finer from one to the next
    assert steps[3] > 2 * steps[2]  # and jumps at the keyframe
    # What does change arrives: half the picture gets darker.
    changed = picture.copy()
    changed[:80] //= 2
    arrived = SensorModel(video, picture.shape, 0)
    arrived.photograph(picture, 0)
    assert np.abs(arrived.photograph(changed, 1).astype(int) - changed).mean() < 4
    # Asked for out of turn it is a keyframe.
    np.testing.assert_array_equal(SensorModel(video, picture.shape, 0).photograph(picture, 3), single)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Sensor(-1.0, None), lambda: Sensor(1.0, 0), lambda: Sensor(1.0, None, keyframe_every=0),
        lambda: Tone(0, 0), lambda: Tone(0, 1, (0.0, 1.0, 1.0)),
    ],
)  # fmt: skip
def test_sensors_that_cannot_be_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="expected"):
        wrong()


# --- time ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), label=st.sampled_from(CLASS_NAMES))
@example(seed=42654, label="neutral")  # fills the lead to the last digit
def test_clips_of_any_rate_start_at_rest_and_keep_their_events(seed: int, label: str) -> None:
    rates = ClipSettings(frame_rates=(20.0, 25.0, 60.0))
    spec = drawn(seed, label, rates)
    assert spec.fps in rates.frame_rates
    expression = spec.expression
    if expression is None:
        return
    envelope = expression.envelope
    assert envelope.at(0.0) == 0
    if expression.kind == "micro":
        apex = envelope.apex_s * spec.fps
        assert rates.lead_frames + rates.apex_from - 0.5 <= apex <= rates.frames
    if expression.kind == "past":
        assert envelope.offset_s * spec.fps <= rates.lead_frames


def test_rates_are_drawn_as_often_as_they_are_named() -> None:
    rates = ClipSettings(frame_rates=(30.0, 30.0, 30.0, 15.0))
    found = [drawn(seed, "positive", rates).fps for seed in range(200)]
    assert 25 < found.count(15.0) < 80 and found.count(15.0) + found.count(30.0) == 200
    assert drawn(0, "positive").fps == 30.0


def test_a_clip_of_another_rate_says_when_its_event_was() -> None:
    spec = drawn(2, "surprise", ClipSettings(frame_rates=(60.0,)))
    assert spec.expression is not None
    crops, truth = make_clip(FaceModel(drawn_face(0)), spec, SETTINGS)
    assert len(crops) == SETTINGS.frames and truth.notes["fps"] == 60.0
    assert truth.apex_frame == round(60 * spec.expression.envelope.apex_s)


def test_repeated_frames_show_the_one_before() -> None:
    spec = dataclasses.replace(drawn(0, "neutral"), repeats=(3, 4), fps=10.0)
    assert [spec.time_s(index) for index in range(6)] == pytest.approx([0, 0.1, 0.2, 0.2, 0.2, 0.5])


@given(seed=st.integers(0, 2**32))
def test_drifts_are_slow_and_stay(seed: int) -> None:
    envelope = drift_envelope(np.random.default_rng(seed), 1.67)
    assert envelope.onset_s >= 0 and envelope.apex_s - envelope.onset_s >= 1.2 and envelope.release_s > 1.67


@pytest.mark.parametrize("wrong", [{"frame_rates": (30.0, 0.0)}, {"fps": -1.0}, {"macro_share": 0.9}])
def test_settings_that_do_not_fit_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        ClipSettings(**wrong)


def test_a_store_has_one_rate() -> None:
    with pytest.raises(ValueError, match="a store has one"):
        ClipPlan(CLASS_NAMES, 4, 0, ClipSettings(frame_rates=(20.0, 30.0)))


# --- motion statistics --------------------------------------------------------------------------------------------


def test_strain_lies_where_the_motion_is_and_noise_is_rough() -> None:
    x, y = np.meshgrid(np.arange(128), np.arange(128))
    bump = np.exp(-((x - 64) ** 2 + (y - 20) ** 2) / (2 * 10**2))
    smooth = np.stack([np.zeros_like(bump), -bump], axis=-1)
    found = measure(smooth)
    assert found.strain[0] > 0.8 and sum(found.strain) == pytest.approx(1.0)
    assert measure(3 * smooth).roughness == pytest.approx(found.roughness, rel=1e-4)
    noise = np.random.default_rng(0).standard_normal((28, 28, 2)).repeat(5, 0).repeat(5, 1)[:128, :128]
    assert measure(smooth + 0.1 * noise).roughness > 1.5 * found.roughness
    assert 0.01 < found.area < 0.1


def test_flow_sees_the_motion_that_was_drawn() -> None:
    spec = drawn(5, "surprise")
    assert spec.expression is not None
    units = (UnitShare(1, 1.0, 1.0), UnitShare(2, 1.0, 1.0))
    spec = dataclasses.replace(spec, expression=dataclasses.replace(spec.expression, units=units, peak_px=3.0))
    true, seen = apex_motion(FaceModel(astronaut()), spec)
    moved = np.hypot(true[..., 0], true[..., 1]) > 1.0
    assert moved.any() and np.corrcoef(true[moved].ravel(), seen[moved].ravel())[0, 1] > 0.5
    assert measure(true).strain[0] > 0.7
    with pytest.raises(ValueError, match="neutral"):
        apex_motion(FaceModel(astronaut()), dataclasses.replace(spec, expression=None))

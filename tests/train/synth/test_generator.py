"""The generator: action units move what they should, envelopes keep their bounds, labels are true, seeds repeat."""

import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.types import unit_label
from stream.face.landmarks import FaceMeshDetector
from train.__main__ import main
from train.clips.store import ClipStore
from train.synth.action_units import (
    ACTION_UNITS,
    CLASS_NAMES,
    RECIPES,
    OneSided,
    UnitShare,
    draw_expression,
)
from train.synth.clip import MAX_INTENSITY, ClipSettings, ClipSpec, Expression, camera_frames, draw_clip, make_clip
from train.synth.drawn import drawn_face
from train.synth.faces import FaceError, astronaut, load_faces, mean_shape, mirror_map
from train.synth.fields import FaceFields, build_fields, channel, grid_points, weighted_sum
from train.synth.generate import ClipPlan, generate
from train.synth.motion_curves import MICRO_MAX_S, MICRO_MIN_S, Envelope, Oscillation, macro_envelope, micro_envelope
from train.synth.render import Camera, FaceModel, FaceRenderer, HeadPose, Pose
from train.synth.sensor import Sensor, SensorModel

SETTINGS = ClipSettings()
IOD_PX = SETTINGS.geometry.iod_px


@pytest.fixture(scope="module")
def fields() -> FaceFields:
    """Fields of the mean face, which is its own mirror image."""
    return build_fields(mean_shape(), mirror_map())


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel(drawn_face(0))


def motion_at(fields: FaceFields, gains: dict[str, float], landmark: int) -> np.ndarray:
    """Displacement (x, y) of a landmark of the mean face, hundredths of IOD."""
    nearest = ((grid_points() - mean_shape()[landmark]) ** 2).sum(axis=-1)
    row, column = np.unravel_index(nearest.argmin(), nearest.shape)
    below_lips = mean_shape()[landmark, 1] > np.interp(mean_shape()[landmark, 0], *fields.seam.T)
    layer = fields.lower if below_lips else fields.upper
    return 100 * weighted_sum(fields.weights(gains), layer)[row, column]


def both(number: int, gain: float = 1.0) -> dict[str, float]:
    return {channel(number, side): gain for side in "LR"}


# --- fields -------------------------------------------------------------------------------------------------------


def test_the_mirror_pairs_landmarks() -> None:
    mirror = mirror_map()
    np.testing.assert_array_equal(mirror[mirror], np.arange(468))
    np.testing.assert_allclose(mean_shape()[mirror], mean_shape() * [-1, 1], atol=1e-5)
    assert mirror[61] == 291 and mirror[33] == 263 and mirror[107] == 336 and mirror[1] == 1


# Landmarks of the image's left half (the subject's right); left is negative x, up is negative y.
@pytest.mark.parametrize(
    ("number", "landmark", "x", "y"),
    [
        (1, 107, 0, -1), (2, 70, 0, -1), (4, 107, 1, 1), (5, 159, 0, -1), (6, 50, -1, -1), (7, 145, 0, -1),
        (9, 129, 0, -1), (10, 37, 0, -1), (12, 61, -1, -1), (14, 61, -1, 0), (15, 61, -1, 1), (17, 200, 0, -1),
        (20, 61, -1, 0), (24, 37, 0, 1), (25, 17, 0, 1), (26, 152, 0, 1),
    ],
)  # fmt: skip
def test_every_unit_moves_its_landmark_its_way(fields: FaceFields, number: int, landmark: int, x: int, y: int) -> None:
    right, down = motion_at(fields, both(number), landmark)
    for moved, wanted in ((right, x), (down, y)):
        if wanted:
            assert moved * wanted > 1.0
        else:
            assert abs(moved) < 2.5


@pytest.mark.parametrize("number", ACTION_UNITS)
def test_the_two_sides_mirror_each_other_and_move_one_half(fields: FaceFields, number: int) -> None:
    left, right = (fields.displacement(fields.weights({channel(number, side): 1.0})) for side in "LR")
    np.testing.assert_allclose(left, right[:, ::-1] * [-1, 1], atol=6e-3)
    x = grid_points()[..., 0]
    # The subject's left is the image's right half.
    assert np.abs(left[x < -0.15]).max() == 0 and np.abs(left[x > 0.15]).max() > 0.02


@pytest.mark.parametrize("number", [1, 2, 4, 6, 9])
def test_brows_and_cheeks_leave_the_eyeball_alone(fields: FaceFields, number: int) -> None:
    pupil = mean_shape()[[33, 133, 159, 145]].mean(axis=0)
    inside = np.hypot(*(grid_points() - pupil).transpose(2, 0, 1)) < 0.04
    assert inside.any()
    assert np.abs(fields.displacement(fields.weights(both(number)))[inside]).max() < 0.01


def test_a_jaw_drop_does_not_pull_the_upper_lip(fields: FaceFields) -> None:
    weights = fields.weights(both(26))
    above = ((grid_points() - mean_shape()[0]) ** 2).sum(axis=-1).argmin()
    below = ((grid_points() - mean_shape()[17]) ** 2).sum(axis=-1).argmin()
    upper, lower = (weighted_sum(weights, layer)[..., 1].ravel() for layer in (fields.upper, fields.lower))
    assert fields.mouth_closed == 1
    assert abs(upper[above]) < 0.04 and lower[below] > 0.12


def test_a_smile_on_one_side_means_what_was_said() -> None:
    usual, dfme = OneSided(), OneSided.from_text("12=negative")
    assert usual.recipes("positive") == RECIPES["positive"]
    rng = np.random.default_rng(5)
    for name, smiles_alone in (("positive", False), ("negative", True)):
        drawn = [draw_expression(rng, name, dfme) for _ in range(600)]
        alone = [
            units for units in drawn if {u.number for u in units} == {12} and not (units[0].left and units[0].right)
        ]
        assert bool(alone) == smiles_alone
    total = sum(recipe.weight for name in RECIPES for recipe in dfme.recipes(name))
    assert total == pytest.approx(sum(recipe.weight for recipes in RECIPES.values() for recipe in recipes))
    for wrong in ("12", "12=contempt", "13=negative"):
        with pytest.raises(ValueError, match="one-sided"):
            OneSided.from_text(wrong)


def test_an_unknown_channel_is_refused(fields: FaceFields) -> None:
    with pytest.raises(KeyError):
        fields.weights({"3L": 1.0})


# --- time ---------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), apex_s=st.floats(0, 100))
def test_micro_envelopes_keep_their_bounds(seed: int, apex_s: float) -> None:
    envelope = micro_envelope(np.random.default_rng(seed), apex_s)
    assert MICRO_MIN_S - 1e-9 <= envelope.duration_s <= MICRO_MAX_S + 1e-9
    assert envelope.at(apex_s) == pytest.approx(1.0)
    assert envelope.at(envelope.onset_s - 0.01) == 0.0
    assert envelope.at(envelope.offset_s + 0.01) == pytest.approx(envelope.residual) and envelope.residual <= 0.25


@given(
    times=st.lists(st.floats(-5, 5), min_size=3, max_size=3, unique=True).map(sorted),
    hold_s=st.floats(0, 1),
    residual=st.floats(0, 1),
    when=st.lists(st.floats(-6, 7), min_size=2, max_size=2).map(sorted),
)
def test_envelopes_rise_then_fall(times: list[float], hold_s: float, residual: float, when: list[float]) -> None:
    onset, apex, offset = times
    if apex - onset < 1e-6 or offset - apex < 1e-6:
        return
    envelope = Envelope(onset, apex, apex + hold_s, offset + hold_s, residual)
    early, late = (envelope.at(time_s) for time_s in when)
    assert 0.0 <= early <= 1.0 and 0.0 <= late <= 1.0
    if when[1] <= apex:
        assert early <= late
    if when[0] >= apex:
        assert early >= late


def test_macro_envelopes_are_long() -> None:
    for seed in range(50):
        envelope = macro_envelope(np.random.default_rng(seed), 1.0)
        assert 0.8 <= envelope.duration_s <= 3.0


@pytest.mark.parametrize("times", [(1, 1, 1, 2), (0, 1, 0.5, 2), (0, 1, 2, 2), (0, 2, 1, 3)])
def test_disordered_envelopes_are_refused(times: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="onset < apex <= release < offset"):
        Envelope(*times)


def test_oscillations_start_at_rest() -> None:
    swing = Oscillation("head_x", 0.1, 0.5, 1.0)
    assert swing.at(0.0) == 0.0 and abs(swing.at(0.7)) > 0.01


# --- recipes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_draw_known_units(name: str) -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_expression(rng, name) for _ in range(300)]
    assert all(share.number in ACTION_UNITS and share.left + share.right > 0 for units in drawn for share in units)
    one_sided = np.mean([any(not (share.left and share.right) for share in units) for units in drawn])
    assert 0.05 < one_sided < 0.45
    present = {share.number for units in drawn for share in units}
    assert {"negative": {4, 7, 9, 10, 14, 15, 17}, "positive": {6, 12}, "surprise": {1, 2, 5}}[name] <= present


def test_surprise_is_mostly_in_the_brows() -> None:
    rng = np.random.default_rng(2)
    drawn = [{share.number for share in draw_expression(rng, "surprise")} for _ in range(400)]
    assert np.mean([bool(units & {1, 2}) for units in drawn]) > 0.75
    assert np.mean([26 in units for units in drawn]) < 0.2


def test_units_are_written_as_facs_does() -> None:
    assert (unit_label(4, 1, 1), unit_label(12, 0.5, 0), unit_label(12, 0, 0.5)) == ("4", "L12", "R12")


# --- pictures -----------------------------------------------------------------------------------------------------


def tracked(before: np.ndarray, after: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Where a point of one picture went in the other, px."""
    start = point.astype(np.float32).reshape(1, 1, 2)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, start, None, winSize=(13, 13), maxLevel=2)
    assert found.all()
    return (moved - start).ravel()


@pytest.mark.parametrize(("number", "landmark"), [(1, 66), (12, 57), (4, 107), (2, 53)])
def test_rendered_skin_moves_as_far_as_its_field_says(model: FaceModel, number: int, landmark: int) -> None:
    camera = Camera(iod_px=80.0)
    renderer = FaceRenderer(model, camera, grey=True)
    gains = both(number, 0.4)
    point = model.camera_landmarks(camera)[landmark]
    canonical = cv2.invertAffineTransform(camera.from_canonical()) @ [*point, 1]
    node = ((grid_points() - canonical) ** 2).sum(axis=-1).argmin()
    expected = 80 * model.fields.displacement(model.fields.weights(gains)).reshape(-1, 2)[node]
    found = tracked(renderer.render(Pose()), renderer.render(Pose(gains)), point)
    np.testing.assert_allclose(found, expected, atol=0.25 * np.hypot(*expected) + 0.1)


def test_head_motion_moves_every_landmark_alike(model: FaceModel) -> None:
    camera = Camera(iod_px=60.0)
    renderer = FaceRenderer(model, camera, grey=True)
    moved = renderer.render(Pose(head=HeadPose(x_iod=0.05, y_iod=-0.03)))
    for landmark in (107, 336, 57, 98):
        shift = tracked(renderer.render(Pose()), moved, model.camera_landmarks(camera)[landmark])
        np.testing.assert_allclose(shift, [3.0, -1.8], atol=0.2)


def test_a_blink_covers_the_eyeball(model: FaceModel) -> None:
    camera = Camera(iod_px=80.0)
    renderer = FaceRenderer(model, camera, grey=True)
    open_eyes, shut = renderer.render(Pose()), renderer.render(Pose(blink=(1.0, 0.0)))
    left, right = (model.camera_landmarks(camera)[list(ids)].mean(axis=0) for ids in ((33, 133), (263, 362)))

    def around(image: np.ndarray, eye: np.ndarray) -> np.ndarray:
        x, y = np.rint(eye).astype(int)
        return image[y - 6 : y, x - 10 : x + 11].astype(float)

    # White, iris and pupil are gone, and what is there instead is skin.
    skin = np.median(around(open_eyes, left + np.array([0, 18])))
    assert around(open_eyes, left).std() > 2.5 * around(shut, left).std()
    assert abs(np.median(around(shut, left)) - skin) < 30
    np.testing.assert_array_equal(around(shut, right), around(open_eyes, right))


def test_light_and_shading_change_brightness_only_where_they_should(model: FaceModel) -> None:
    plain, shaded = (FaceRenderer(model, Camera(), shading=amount) for amount in (0.0, 0.25))
    rest = plain.render(Pose())
    np.testing.assert_array_equal(shaded.render(Pose()), rest)
    assert np.mean(plain.render(Pose(light=1.1))) == pytest.approx(1.1 * np.mean(rest), rel=0.02)
    frown = both(4, 0.7)
    changed = np.abs(shaded.render(Pose(frown)).astype(int) - plain.render(Pose(frown))).max(axis=-1)
    assert changed.max() >= 3 and changed[:10].max() <= 1


def test_mirrored_pictures_are_mirrored(model: FaceModel) -> None:
    plain, mirrored = (Camera(iod_px=50.0, mirrored=flag) for flag in (False, True))
    pose = Pose({"12L": 0.7}, blink=(1.0, 0.0))
    image, other = (FaceRenderer(model, camera, grey=True).render(pose) for camera in (plain, mirrored))
    # The picture's middle lies half a pixel off the pixel grid's.
    assert np.abs(image[:, 1:].astype(int) - other[:, :0:-1]).mean() < 1.0
    reflected = plain.side_px - model.camera_landmarks(mirrored)[:, 0]
    np.testing.assert_allclose(reflected, model.camera_landmarks(plain)[mirror_map(), 0], atol=1e-3)


def test_noise_differs_from_frame_to_frame_and_has_its_strength() -> None:
    grey = np.full((64, 64), 128, np.uint8)
    sensor = SensorModel(Sensor(noise=3.0, jpeg_quality=None), grey.shape, seed=5)
    first, second = (sensor.photograph(grey, index).astype(float) - 128 for index in (0, 1))
    assert first.std() == pytest.approx(3.0, rel=0.1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    compressed = SensorModel(Sensor(noise=0.0, jpeg_quality=60), grey.shape, seed=5).photograph(grey, 0)
    assert compressed.shape == grey.shape


# --- clips --------------------------------------------------------------------------------------------------------


def quiet(spec: ClipSpec) -> ClipSpec:
    """The same clip with nothing but its expression."""
    still = dataclasses.replace(spec.confounders, motions=(), sensor=Sensor(0.0, None))
    return dataclasses.replace(spec, confounders=still, shading=0.0)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), label=st.sampled_from(CLASS_NAMES))
def test_drawn_clips_are_what_their_label_says(seed: int, label: str) -> None:
    spec = draw_clip(np.random.default_rng(seed), label, SETTINGS)
    expression = spec.expression
    window_s = SETTINGS.lead_frames / SETTINGS.fps
    if label != "neutral":
        assert expression is not None and expression.kind == "micro" and expression.class_name == label
        apex = round(expression.envelope.apex_s * SETTINGS.fps) - SETTINGS.lead_frames
        assert SETTINGS.apex_from <= apex <= SETTINGS.window_frames - 2
        assert expression.envelope.onset_s > 0
        assert SETTINGS.peak_min_px <= expression.peak_px <= SETTINGS.peak_max_px
    elif expression is not None and expression.kind == "past":
        assert expression.envelope.onset_s >= 0 and expression.envelope.offset_s < window_s
    elif expression is not None:
        rise_s = expression.envelope.apex_s - expression.envelope.onset_s
        assert (expression.kind == "macro" and expression.envelope.duration_s >= 0.8) or (
            expression.kind == "drift"
            and rise_s >= 1.2
            and expression.envelope.release_s > SETTINGS.frames / SETTINGS.fps
        )


def test_neutral_clips_have_hard_negatives_among_them() -> None:
    drawn = [draw_clip(np.random.default_rng(seed), "neutral", SETTINGS).expression for seed in range(300)]
    kinds = [expression.kind if expression else "none" for expression in drawn]
    assert 0.07 < kinds.count("macro") / 300 < 0.18 and 0.07 < kinds.count("past") / 300 < 0.18


@pytest.mark.parametrize("label", ["negative", "positive", "surprise"])
def test_the_event_shows_as_far_as_the_truth_says(model: FaceModel, label: str) -> None:
    spec = quiet(draw_clip(np.random.default_rng(8), label, SETTINGS))
    assert spec.expression is not None
    spec = dataclasses.replace(spec, texture=np.broadcast_to(np.eye(2, dtype=np.float32), spec.texture.shape))
    crops, truth = make_clip(model, spec, SETTINGS)
    assert crops.shape == (50, 128, 128, 1) and crops.dtype == np.uint8
    assert truth.label == label and truth.action_units and truth.lost_frames == 0
    assert truth.onset_frame is not None and truth.apex_frame is not None
    gains = spec.expression.gains(model.fields, IOD_PX)
    assert truth.peak_px == pytest.approx(IOD_PX * model.fields.peak_iod(gains))
    assert truth.peak_px <= spec.expression.peak_px + 1e-6 and max(gains.values()) <= MAX_INTENSITY + 1e-6
    views = crops[..., 0]
    changes = [np.abs(view.astype(int) - views[truth.onset_frame - 1]).mean() for view in views]
    assert abs(int(np.argmax(changes)) - truth.apex_frame) <= 1
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(  # type: ignore[call-overload]
        views[truth.onset_frame - 1], views[truth.apex_frame], None
    )
    measured = np.quantile(np.hypot(flow[..., 0], flow[..., 1]), 0.995)
    assert 0.4 * truth.peak_px < measured < 1.5 * truth.peak_px


def test_nothing_happens_in_a_still_neutral_clip(model: FaceModel) -> None:
    spec = dataclasses.replace(quiet(draw_clip(np.random.default_rng(8), "neutral", SETTINGS)), expression=None)
    crops, truth = make_clip(model, spec, SETTINGS)
    assert truth.onset_frame is truth.apex_frame is truth.offset_frame is None
    assert truth.action_units == () and truth.peak_px == 0
    assert np.abs(crops.astype(int) - crops[0]).max() <= 3


def test_the_first_frame_says_nothing_of_the_class(model: FaceModel) -> None:
    for seed, label in enumerate(CLASS_NAMES):
        spec = draw_clip(np.random.default_rng(seed), label, SETTINGS)
        without = dataclasses.replace(spec, expression=None)
        first, other = (next(camera_frames(model, each, 1, IOD_PX)) for each in (spec, without))
        np.testing.assert_array_equal(first, other)


def test_alignment_takes_head_motion_out(model: FaceModel) -> None:
    spec = quiet(draw_clip(np.random.default_rng(8), "neutral", SETTINGS))
    sway = (Oscillation("head_x", 0.1, 0.3, 0.5), Oscillation("head_roll", 3.0, 0.25, 0.1))
    spec = dataclasses.replace(spec, expression=None, confounders=dataclasses.replace(spec.confounders, motions=sway))
    crops, truth = make_clip(model, spec, SETTINGS)
    face = crops[:, 30:100, 40:88].astype(int)
    frames = np.stack(list(camera_frames(model, spec, SETTINGS.frames, IOD_PX, grey=True))).astype(int)
    assert truth.lost_frames == 0
    assert np.abs(face - face[0]).mean() < 3 and np.abs(frames - frames[0]).mean() > 6


def test_the_units_of_a_mirrored_clip_change_sides(model: FaceModel) -> None:
    smile = Expression("micro", "positive", (UnitShare(12, 1.0, 0.0),), Envelope(1.0, 1.2, 1.2, 1.4), 2.0)
    spec = dataclasses.replace(quiet(draw_clip(np.random.default_rng(3), "positive", SETTINGS)), expression=smile)
    for mirrored, unit in ((False, "L12"), (True, "R12")):
        camera = Camera(iod_px=60.0, mirrored=mirrored)
        crops, truth = make_clip(model, dataclasses.replace(spec, camera=camera), SETTINGS)
        assert truth.action_units == (unit,)
        change = np.abs(crops[36, ..., 0].astype(int) - crops[28, ..., 0])[64:110]
        on_image_right = change[:, 68:].sum() > 3 * change[:, :60].sum()
        assert on_image_right != mirrored


# --- faces --------------------------------------------------------------------------------------------------------


def test_face_mesh_finds_drawn_faces_where_they_were_drawn() -> None:
    pictures = [drawn_face(seed) for seed in range(3)]
    assert not np.array_equal(pictures[0].landmarks, pictures[1].landmarks)
    with FaceMeshDetector(static=True) as detector:
        for face in pictures:
            (found,) = detector.detect(face.image)
            assert np.abs(found - face.landmarks).mean() < 0.04 * face.iod_px


def test_photos_are_grouped_and_bad_ones_left_out_with_a_reason(tmp_path: Path) -> None:
    for name, face in (("anna_1", drawn_face(0)), ("anna_2", drawn_face(1)), ("ben", drawn_face(2))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), face.image)
    cv2.imwrite(str(tmp_path / "small.png"), cv2.resize(drawn_face(3).image, (120, 120)))
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 90, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not a photo")
    cv2.imwrite(str(tmp_path / "wide.bmp"), np.full((8, 8, 3), 90, np.uint8))
    damaged = bytearray((tmp_path / "wide.bmp").read_bytes())
    damaged[18:22] = (0x7FFFFF).to_bytes(4, "little")  # a width beyond what OpenCV takes
    (tmp_path / "wide.bmp").write_bytes(damaged)
    faces, left_out = load_faces(tmp_path)
    assert [(face.name, face.subject) for face in faces] == [("anna_1", "anna"), ("anna_2", "anna"), ("ben", "ben")]
    reasons = {photo.path.name: photo.reason for photo in left_out}
    assert set(reasons) == {"small.png", "wall.png", "broken.jpg", "wide.bmp"}
    assert reasons["wall.png"] == "no face found" and "not a readable picture" in reasons["broken.jpg"]
    assert "not a readable picture" in reasons["wide.bmp"]
    assert "px between the eyes" in reasons["small.png"]


def test_folders_without_faces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FaceError, match="expected a folder of portraits"):
        load_faces(tmp_path / "nowhere")
    with pytest.raises(FaceError, match="expected pictures"):
        load_faces(tmp_path)


@pytest.mark.skipif("MICROLIVE_FACES" not in os.environ, reason="needs a folder of portraits in MICROLIVE_FACES")
def test_real_portraits_can_be_animated() -> None:
    faces, _ = load_faces(Path(os.environ["MICROLIVE_FACES"]))
    for face in faces[:3]:
        crops, truth = make_clip(FaceModel(face), draw_clip(np.random.default_rng(1), "positive", SETTINGS), SETTINGS)
        assert truth.lost_frames == 0 and crops.std() > 10


# --- data sets ----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_clips_in_any_number_of_processes() -> None:
    plan = ClipPlan(CLASS_NAMES, 6, 11, SETTINGS)
    faces = [drawn_face(0), astronaut()]
    alone, shared = (list(generate(plan, faces, jobs)) for jobs in (1, 2))
    assert [record for record, _ in alone] == [record for record, _ in shared]
    for (_, clip), (_, other) in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(clip, other)
    assert [record.label for record, _ in alone] == [*CLASS_NAMES, "negative", "positive"]
    assert {record.subject for record, _ in alone} == {"drawn00", "astronaut"}
    longer = [record for record, _ in generate(dataclasses.replace(plan, clips=7), faces, 1)]
    assert longer[:6] == [record for record, _ in alone]


def test_another_seed_gives_other_clips() -> None:
    faces = [drawn_face(0)]
    (_, clip), (_, other) = (next(generate(ClipPlan(("neutral",), 1, seed, SETTINGS), faces, 1)) for seed in (1, 2))
    assert not np.array_equal(clip, other)


def test_the_command_writes_a_store_and_previews(tmp_path: Path) -> None:
    out = tmp_path / "store"
    argv = ["synth", "--out", str(out), "--clips", "4", "--drawn", "1", "--jobs", "1", "--colour", "rgb", "--preview"]
    assert main(argv) == 0
    store = ClipStore.open(out)
    assert store.clips.shape == (4, 50, 128, 128, 3) and store.manifest.class_names == CLASS_NAMES
    assert store.manifest.lead_frames == 20 and store.manifest.class_counts == dict.fromkeys(CLASS_NAMES, 1)
    pictures = {path.name for path in out.iterdir()} - {"clips.npy", "clips.jsonl", "manifest.json"}
    assert pictures == {"preview.png", *(f"preview_{name}.gif" for name in CLASS_NAMES)}
    assert cv2.imread(str(out / "preview.png")).shape[0] > 100
    assert main(argv) != 0  # it is there already


@pytest.mark.parametrize(
    "flags",
    [
        ["--classes", "angry"], ["--classes", "negative,,positive"], ["--clips", "0"], ["--jobs", "0"],
        ["--peak", "3", "1"], ["--lead-frames", "2"], ["--seed", "-1"],
    ],
)  # fmt: skip
def test_flags_that_do_not_fit_are_refused(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["synth", "--out", str(tmp_path / "store"), *flags])
    except SystemExit as stop:  # argparse's own
        status = stop.code
    assert status == 2 and list(tmp_path.iterdir()) == []
    assert "expected" in capsys.readouterr().err


def test_people_who_are_not_there_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["synth", "--out", str(tmp_path / "store"), "--drawn", "1", "--people", "nobody"])
    assert status == 1 and list(tmp_path.iterdir()) == []
    assert "expected some of astronaut, drawn00, found nobody" in " ".join(capsys.readouterr().err.split())

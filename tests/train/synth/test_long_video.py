"""Made long videos: scripts keep their promises, rates show one performance, pictures are seamless, tracks are told apart."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.contract import ClipContract
from model.preprocess import eye_transform
from model.types import FaceCrop, FaceResult, Frame, FrameResult
from stream.face.landmarks import FaceMeshDetector, eye_centres
from tests.helpers.mixed_windows import Sighting, mixed_windows, person_at, sightings_of
from tests.helpers.pair_video import Path, Walk, make_pair_video
from train.synth.drawn import drawn_face
from train.synth.faces import FaceError, astronaut, mean_shape, mirror_map
from train.synth.fields import FaceFields, build_fields
from train.synth.long_video import (
    LongVideo,
    Sampling,
    Whereabouts,
    compressed,
    make_long_video,
    make_rest_video,
    pick_face,
    write_while,
)
from train.synth.long_video_script import Script, ScriptSettings, draw_script
from train.synth.motion_curves import pose_at
from train.synth.render import Pose
from train.synth.sensor import IntegerNoise, Light

FACES = [astronaut(), drawn_face(0)]
SHORT = ScriptSettings(duration_s=12.0, lead_s=1.0)
REST = Pose()


@pytest.fixture(scope="module")
def fields() -> FaceFields:
    return build_fields(mean_shape(), mirror_map())


@pytest.fixture(scope="module")
def solo() -> LongVideo:
    return dataclasses.replace(make_long_video(FACES, 3, 0, SHORT), noise=0.0)


@pytest.fixture(scope="module")
def crossing() -> LongVideo:
    return make_pair_video(FACES, 3, 0, "crossing", ScriptSettings(duration_s=30.0, lead_s=1.0))


def script_of(fields: FaceFields, seed: int, **settings: float) -> Script:
    return draw_script(np.random.default_rng(seed), fields, ScriptSettings(**settings))  # type: ignore[arg-type]


# --- scripts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_script_keeps_its_promises(fields: FaceFields, seed: int) -> None:
    script = script_of(fields, seed, duration_s=240.0)
    micro = [e for e in script.events if e.kind == "micro"]
    others = [(e.onset_s, e.offset_s) for e in script.events if e.kind == "macro"]
    others += [(d.start_s, d.end_s) for d in script.distractions if d.kind == "talk"]
    assert len(micro) >= 20 and micro[0].onset_s > 5
    for event in micro:
        assert 0.119 < event.offset_s - event.onset_s < 0.501 and 0.5 < event.peak_px < 3.01
        assert all(end < event.onset_s or event.offset_s < start for start, end in others)
    gaps = [later.onset_s - earlier.offset_s for earlier, later in pairwise(micro)]
    assert min(gaps) >= 4 and np.median(gaps) < 12
    assert all(0.69 < e.offset_s - e.onset_s < 3.01 for e in script.events if e.kind == "macro")
    labels = [e.label for e in micro]
    assert max(labels.count(n) for n in set(labels)) - min(labels.count(n) for n in set(labels)) <= 1
    assert {d.kind for d in script.distractions} == {"blink", "talk", "gaze", "head", "light"}


@given(seed=st.integers(0, 3), time_s=st.floats(-1, 70))
def test_a_pose_asks_only_what_can_act_and_nothing_is_missed(fields: FaceFields, seed: int, time_s: float) -> None:
    script = script_of(fields, seed, duration_s=60.0)
    assert script.pose(time_s) == pose_at(script.motions, time_s)


def test_expressions_settle_and_leave_nothing_behind(fields: FaceFields) -> None:
    still = script_of(fields, 1, duration_s=200.0, busy=0.0, blinks_per_min=0.0, talk_share=0.0, macro_share=0.0)
    assert len(still.events) > 10
    for event in still.events:
        gains = still.pose(event.apex_s).gains
        assert 44 * fields.peak_iod(gains) == pytest.approx(event.peak_px, rel=1e-4)
        # Residuals last 3 s at the most and the next one comes no sooner than after 4 s.
        assert still.pose(event.offset_s + 3.01) == REST


def test_expressions_keep_out_of_blocked_times(fields: FaceFields) -> None:
    blocked = [(0.0, 20.0), (40.0, 60.0)]
    script = draw_script(np.random.default_rng(1), fields, ScriptSettings(duration_s=120.0), blocked)
    micro = [e for e in script.events if e.kind == "micro"]
    assert micro and all(end <= e.onset_s or e.offset_s <= start for e in micro for start, end in blocked)
    assert any(e.onset_s < 40 for e in micro) and any(e.onset_s > 60 for e in micro)


@pytest.mark.parametrize(
    "wrong", [{"duration_s": 3.0}, {"gap_min_s": 0.0}, {"peak_min_px": 4.0}, {"busy": -1.0}, {"talk_share": 0.9}]
)
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="script: expected"):
        ScriptSettings(**wrong)  # type: ignore[arg-type]


# --- time -----------------------------------------------------------------------------------------------------------


@given(fps=st.sampled_from((15.0, 29.97, 60.0, 120.0)), jitter=st.floats(0, 0.45), seed=st.integers(0, 99))
def test_timestamps_grow_from_nought(fps: float, jitter: float, seed: int) -> None:
    times = Sampling(fps, jitter).times_s(10.0, seed)
    assert times[0] == 0 and np.all(np.diff(times) > 0) and abs(len(times) - 10 * fps) <= 1
    assert np.abs(times - np.arange(len(times)) / fps).max() <= 2 * jitter / fps + 1e-9


@pytest.mark.parametrize("wrong", [(0.0, 0.0), (30.0, 0.5), (30.0, -0.1)])
def test_sampling_is_checked(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="sampling: expected"):
        Sampling(*wrong)


def test_every_rate_shows_the_same_performance(solo: LongVideo) -> None:
    short = dataclasses.replace(solo, scripts=(dataclasses.replace(solo.scripts[0], duration_s=1.0),))
    slow, fast = (list(short.frames(Sampling(fps))) for fps in (10.0, 30.0))
    assert len(slow) == 10 and len(fast) == 30
    for (time_s, picture), (same_s, same) in zip(slow, fast[::3], strict=True):
        assert time_s == pytest.approx(same_s)
        assert cv2.absdiff(picture, same).max() <= 1


def test_the_same_seed_gives_the_same_video_and_another_index_another() -> None:
    first, again, other = (make_long_video(FACES, 7, index, SHORT) for index in (0, 0, 2))
    assert first.events == again.events and first.events != other.events
    for (_, a), (_, b), _ in zip(first.frames(), again.frames(), range(3), strict=False):
        np.testing.assert_array_equal(a, b)


def test_people_come_in_turn_before_anybodys_next_photo() -> None:
    faces = [dataclasses.replace(FACES[1], name=n, subject=n[0]) for n in ("a1", "a2", "b1")]
    assert [pick_face(faces, i).name for i in range(5)] == ["a1", "b1", "a2", "b1", "a1"]


# --- pictures -------------------------------------------------------------------------------------------------------


def test_face_mesh_finds_the_face_where_it_is_said_to_be(solo: LongVideo) -> None:
    with FaceMeshDetector(static=True) as detector:
        faces = detector.detect(solo.scene.draw([REST], 0.0))
    where = solo.scene.whereabouts(0.0)[0]
    left, right = eye_centres(faces[0])
    assert np.hypot(*((left + right) / 2 - where.eyes_px)) < 0.08 * where.iod_px
    assert np.hypot(*(right - left)) == pytest.approx(where.iod_px, rel=0.06)
    assert solo.scene.draw([REST], 0.0).shape == (480, 640, 3)


def test_the_drawn_square_has_no_seam(solo: LongVideo) -> None:
    """Rows and columns at the square's edge differ no more than those beside them."""
    picture = solo.scene.draw([REST], 0.0).astype(np.int16)
    scene = solo.scene
    top, bottom = scene._rows.start, min(scene._rows.stop, picture.shape[0] - 1)  # type: ignore[attr-defined]
    left, right = scene._columns.start, scene._columns.stop  # type: ignore[attr-defined]
    for axis, edges in ((0, (top, bottom)), (1, (left, right))):
        steps = np.abs(np.diff(picture, axis=axis)).mean(axis=(1 - axis, 2))
        for edge in edges:
            near = steps[max(edge - 15, 0) : edge + 15]
            assert steps[edge - 1] <= 2 * np.median(near) + 0.5


def test_only_the_head_moves(solo: LongVideo) -> None:
    pose = next(p for p in map(solo.scripts[0].pose, np.arange(0, 12, 0.1)) if p.head.x_iod > 0.01)
    moved = solo.scene.draw([dataclasses.replace(pose, light=1.0, light_slope=0.0)], 0.0)
    change = cv2.absdiff(moved, solo.scene.draw([REST], 0.0)).max(axis=2)
    assert change.max() > 10
    assert change[:, :60].max() == change[:, -60:].max() == 0


def test_a_micro_expression_moves_the_face_a_little(solo: LongVideo) -> None:
    event = next(e for e in solo.events if e.kind == "micro")
    gains = {n: g for n, g in solo.scripts[0].pose(event.apex_s).gains.items() if n[0].isdigit()}
    change = cv2.absdiff(solo.scene.draw([Pose(gains)], 0.0), solo.scene.draw([REST], 0.0))
    assert change.max() > 8 and (change > 4).mean() < 0.05


def test_noise_is_added_and_clipped_like_any_other() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    noise = IntegerNoise(3.0, picture.shape, seed=1)
    noisy = noise.photograph(picture, 5).astype(int)
    middle = np.full_like(picture, 128)
    added = noise.photograph(middle, 5).astype(int) - 128
    np.testing.assert_array_equal(noisy, np.clip(picture.astype(int) + added, 0, 255))
    assert added.std() == pytest.approx(3.0, rel=0.1)
    assert np.any(noise.photograph(middle, 6) != noise.photograph(middle, 5))


def test_light_is_a_factor_and_a_slope() -> None:
    picture = np.full((4, 11, 3), 100, np.uint8)
    lit = Light(11, 4).shine(picture, 1.1, 0.2)
    np.testing.assert_array_equal(lit[0, :, 0], np.rint(100 * (1.1 + 0.2 * np.linspace(-0.5, 0.5, 11))))
    assert Light(11, 4).shine(picture, 1.0, 0.0) is picture


def test_a_resting_face_does_not_move() -> None:
    video = make_rest_video(FACES, 1, 1, duration_s=20.0)
    assert video.events == video.distractions == ()
    assert {video.scripts[0].pose(t) == REST for t in np.arange(0, 20, 0.5)} == {True}
    assert any(d.kind == "blink" for d in make_rest_video(FACES, 1, 1, 20.0, blinks_per_min=15).distractions)


def test_videos_are_written_and_come_back_compressed(tmp_path, solo: LongVideo) -> None:
    frames = [frame for frame, _ in zip(solo.frames(), range(5), strict=False)]
    path = tmp_path / "look.mp4"
    assert [t for t, _ in write_while(iter(frames), path, 30.0)] == [t for t, _ in frames]
    assert int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)) == 5
    back = list(compressed(iter(frames), 30.0))
    assert [t for t, _ in back] == [t for t, _ in frames]
    assert 0 < np.mean(cv2.absdiff(back[2][1], frames[2][1])) < 6
    with pytest.raises(RuntimeError, match="broken off"):
        list(write_while(_breaking(frames), tmp_path / "half.mp4", 30.0))
    assert [p.name for p in tmp_path.iterdir()] == ["look.mp4"]


def _breaking(frames: Sequence):
    yield frames[0]
    raise RuntimeError("broken off")


# --- two people -----------------------------------------------------------------------------------------------------


def test_people_change_places_and_one_hides_the_other(crossing: LongVideo) -> None:
    walk = crossing.scene._paths[0].walks[0]  # type: ignore[attr-defined]
    before, after = crossing.scene.whereabouts(walk.start_s), crossing.scene.whereabouts(walk.end_s)
    assert before[0].eyes_px[0] < before[1].eyes_px[0] and after[0].eyes_px[0] > after[1].eyes_px[0]
    assert [w.shown for w in (*before, *after)] == [1.0] * 4
    half_s = (walk.start_s + walk.end_s) / 2
    shown = sorted(w.shown for w in crossing.scene.whereabouts(half_s))
    assert shown[-1] == 1.0 and (len(shown) == 1 or shown[0] < 0.6)
    assert {event.track for event in crossing.events} == {0, 1}
    assert all(e.offset_s < walk.start_s or e.onset_s > walk.end_s for e in crossing.events if e.kind == "micro")


def test_face_mesh_finds_both_where_they_are_said_to_be(crossing: LongVideo) -> None:
    with FaceMeshDetector(static=True, max_faces=2) as detector:
        faces = detector.detect(crossing.scene.draw([REST, REST], 0.0))
    found = {person_at(tuple(np.mean(eye_centres(face), axis=0)), crossing.scene.whereabouts(0.0)) for face in faces}
    assert found == {0, 1}


def test_one_leaves_before_the_other_comes() -> None:
    video = make_pair_video(FACES, 3, 0, "relay", ScriptSettings(duration_s=40.0, lead_s=1.0))
    there = [{w.person for w in video.scene.whereabouts(t)} for t in np.arange(0, 40, 0.1)]
    assert there[0] == {0} and there[-1] == {1} and set() in there and {0, 1} not in there
    gone = next(t for t, who in enumerate(there) if not who) / 10
    assert all((e.track == 0) == (e.onset_s < gone) for e in video.events if e.kind == "micro")


def test_two_people_are_needed() -> None:
    with pytest.raises(FaceError, match="two people or more"):
        make_pair_video(FACES[:1], 1, 0, "side_by_side")


def test_paths_and_walks() -> None:
    path = Path(10.0, (Walk(1, 2, 10, 50), Walk(4, 6, 50, 20)))
    assert [path.x_px(t) for t in (0, 1, 2, 3, 5, 9)] == pytest.approx([10, 10, 50, 50, 35, 20])
    with pytest.raises(ValueError, match="start < end"):
        Walk(2, 2, 0, 1)


class _Stage:
    """Two people at 100 and 300 px; from 9.95 s on they have changed places."""

    def draw(self, poses: Sequence[Pose], time_s: float):
        raise NotImplementedError

    def whereabouts(self, time_s: float) -> tuple[Whereabouts, ...]:
        places = (100.0, 300.0) if time_s < 9.95 else (300.0, 100.0)
        return tuple(Whereabouts(person, (x, 50.0), 60.0, 1.0) for person, x in enumerate(places))


def _track(at_px: float, window_s: float, reset_s: float | None = None, track: int = 0) -> list[Sighting]:
    """Somebody who sits still; the window grows from the start and from `reset_s` on."""
    sightings = []
    for time_s in np.arange(5, 15, 0.1).tolist():
        since_s = time_s - (reset_s if reset_s is not None and time_s >= reset_s else 5)
        sightings.append(Sighting(track, time_s, min(window_s, since_s), (at_px, 52.0)))
    return sightings


def test_a_track_that_goes_over_to_another_person_mixes_windows() -> None:
    mixing = mixed_windows(_track(100, 1.0), _Stage())
    assert mixing.windows == 100 and 9 <= mixing.mixed <= 11 and set(mixing.people[0]) == {0, 1}


def test_a_window_that_starts_anew_does_not_mix() -> None:
    assert mixed_windows(_track(100, 1.0, reset_s=9.95), _Stage()).mixed == 0
    both = sorted([*_track(100, 1.0, 9.95), *_track(300, 1.0, 9.95, track=1)], key=lambda s: s.time_s)
    assert mixed_windows(both, _Stage()).mixed == 0


def test_nobody_is_where_no_eyes_are_and_neither_where_two_pass() -> None:
    far = _Stage().whereabouts(0.0)
    assert person_at((200.0, 50.0), far) is None and person_at((110.0, 40.0), far) == 0
    near = (Whereabouts(0, (100.0, 50.0), 60.0, 1.0), Whereabouts(1, (130.0, 50.0), 60.0, 0.5))
    assert person_at((100.0, 50.0), near) is None and person_at((100.0, 50.0), ()) is None


def test_results_hold_sightings_of_the_eyes_of_their_crops() -> None:
    contract = ClipContract(("a", "b"), fps=30.0)
    transform = eye_transform(np.array([100.0, 80.0]), np.array([160.0, 90.0]), contract.crop)
    crop = FaceCrop(np.zeros((128, 128), np.uint8), transform, np.empty((0, 2), np.float32), rekeyed=False)
    frame = Frame(5, 0.5, np.zeros((4, 4, 3), np.uint8), 0.0)
    face = FaceResult(2, "filling", 16, None, crop)
    [sighting] = sightings_of(FrameResult(frame, (face,), "no_face", (), 0.0, {}), contract)
    assert sighting.eyes_px == pytest.approx((130.0, 85.0))
    assert (sighting.track, sighting.time_s, sighting.window_s) == (2, 0.5, 0.5)
    assert sightings_of(FrameResult(frame, (), "no_face", (), 0.0, {}), contract) == []

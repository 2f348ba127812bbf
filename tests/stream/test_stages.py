"""Between the faces and their answers: windows, gates, time grid, events, each face for itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from model.contract import ClipContract, InputKind, NetworkInput, Reference
from model.preprocess import Preprocessor
from model.types import Event, FaceCrop, FaceResult, Frame, FrameResult, Status
from stream.clock import SourceClock
from stream.engine.engines import Answer
from stream.face.quality import ValiditySettings
from stream.face.tracker import SeenFace, SeenFaces
from stream.history import EventCounts
from stream.stages import ClassifyStage, FaceFeatures, FaceStage, FrameFeatures
from tests.helpers.faces import noisy, portrait
from tests.helpers.movements import CLASSES, SURPRISED, Movement, accepted, face_rows, grid, motion_of

CONTRACT = ClipContract(CLASSES, input=NetworkInput("flow", 32), reference=Reference("ema", time_constant_s=2.0))
IMAGE = np.zeros((4, 4, 3), np.uint8)
CROPS = [noisy(portrait(), np.random.default_rng(seed), 2.0)[60:188, 160:288, 1] for seed in range(6)]
FEATURES = np.zeros(CONTRACT.input_shape[1:], np.float32)


class CountingEngine:
    """Answers with `SURPRISED` when its window is full."""

    made = 0

    def __init__(self) -> None:
        CountingEngine.made += 1
        self.filled = 0

    def reset(self) -> None:
        self.filled = 0

    def step(self, features: np.ndarray) -> Answer | None:
        self.filled = min(self.filled + 1, CONTRACT.frames)
        full = self.filled == CONTRACT.frames
        return Answer(np.array(SURPRISED, np.float32), np.zeros(0, np.float32)) if full else None


def crop(index: int = 0, rekeyed: bool = False) -> FaceCrop:
    return FaceCrop(CROPS[index % len(CROPS)], np.eye(2, 3), np.zeros((36, 2), np.float32), rekeyed)


@dataclass
class Script:
    """In the place of the face tracker: what it sees in every frame, by the frame's number."""

    seen: Sequence[Sequence[SeenFace]]
    resets: int = 0
    remembered: frozenset[int] = frozenset({1})

    def step(self, frame: Frame) -> SeenFaces:
        return SeenFaces(tuple(self.seen[frame.index]), "no_face", self.remembered)

    def reset(self) -> None:
        self.resets += 1


def one_face(count: int, **changes: object) -> list[list[SeenFace]]:
    """The same face all the time; it was placed in a frame before."""
    return [[replace(SeenFace(1, crop(i), False, 60.0), **changes)] for i in range(count)]  # type: ignore[arg-type]


def face_stage(script: Script, contract: ClipContract = CONTRACT, with_motion: bool = True) -> FaceStage:
    clock = SourceClock(contract.max_gap_s, contract.window_s)
    return FaceStage(contract, script, clock, ValiditySettings(), with_motion)  # type: ignore[arg-type]


def run(seen: Sequence[Sequence[SeenFace]], times_s: Iterable[float], events: bool = True) -> list[FrameResult]:
    stage = face_stage(Script(seen), with_motion=events)
    classify = ClassifyStage(CONTRACT, CountingEngine, events)
    return [classify.step(stage.step(Frame(i, time_s, IMAGE, 0.0))) for i, time_s in enumerate(times_s)]


def statuses(results: Iterable[FrameResult]) -> list[Status]:
    return [result.status for result in results]


# --- network frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [Reference("ema", time_constant_s=1.0), Reference("lag", lag_s=1 / 30)])
@pytest.mark.parametrize("kind", ["difference", "flow", "both"])
def test_network_frames_are_what_the_contract_says(kind: InputKind, reference: Reference) -> None:
    contract = replace(CONTRACT, input=NetworkInput(kind, 48), reference=reference)
    stage, plain = face_stage(Script(one_face(5)), contract), Preprocessor(contract)
    for index in range(5):
        (face,) = stage.step(Frame(index, index / 30, IMAGE, 0.0)).faces
        assert face.features is not None
        np.testing.assert_array_equal(face.features, plain.step(CROPS[index], index / 30))


# --- gates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"turned": True}, "face_turned"),
        ({"iod_px": 12.0}, "face_too_small"),
        ({"roll_deg": 180.0}, "not_upright"),
        ({"roll_deg": -75.0}, "not_upright"),
        ({"alive": False}, "no_life"),
    ],
)
@pytest.mark.parametrize("events", [True, False])
def test_a_face_that_cannot_be_read_has_a_reason_and_starts_anew_afterwards(changes, status, events):
    seen = one_face(40) + one_face(5, **changes) + one_face(35)
    results = run(seen, np.arange(80) / 30, events)
    assert statuses(results) == ["filling"] * 29 + ["ok"] * 11 + [status] * 5 + ["filling"] * 29 + ["ok"] * 6
    gated = [result.faces[0] for result in results[40:45]]
    assert all((face.prediction, face.filled, face.track) == (None, 0, 1) for face in gated)


@pytest.mark.parametrize("fault", ["too_dark", "flicker"])
def test_bad_light_is_no_basis_for_answers_but_the_face_stays_known(fault):
    results = run(one_face(120) + one_face(20, light_fault=fault) + one_face(40), np.arange(180) / 30)
    assert statuses(results)[120:140] == [fault] * 20 and statuses(results)[-5:] == ["ok"] * 5
    assert all(result.prediction is None for result in results[120:140])
    assert all(result.faces[0].calibrated for result in results[120:])
    assert counted_s(results) == pytest.approx(counted_s(results[:120]) + 11 / 30, abs=0.04)


def counted_s(results: Sequence[FrameResult]) -> float:
    """The time in which there could have been events."""
    counts = EventCounts()
    for result in results:
        counts.add(result)
    return counts.watched_s


def test_in_steady_light_is_what_is_measured_and_the_face_is_shown_as_it_is():
    seen = one_face(5, steady_crop=CROPS[0])
    stage, plain = face_stage(Script(seen)), Preprocessor(CONTRACT)
    for index in range(5):
        (face,) = stage.step(Frame(index, index / 30, IMAGE, 0.0)).faces
        np.testing.assert_array_equal(face.features, plain.step(CROPS[0], index / 30))
        np.testing.assert_array_equal(face.face.crop, CROPS[index])


@pytest.mark.parametrize("fps", [10.0, 5.0, 3.0])
def test_too_few_frames_a_second_are_no_basis(fps):
    results = run(one_face(60), np.arange(60) / fps)
    assert set(statuses(results)[5:]) == {"insufficient_rate"}
    assert all(result.prediction is None and result.events == () for result in results)
    assert results[-1].faces[0].rate_hz == pytest.approx(fps)


def test_the_rate_recovers_by_itself():
    times_s = np.concatenate([np.arange(20) / 8, 2.5 + np.arange(75) / 30])
    found = statuses(run(one_face(95), times_s))
    assert found[19] == "insufficient_rate" and found[-1] == "ok"


def test_a_blurred_stretch_has_no_answer_and_the_window_fills_again():
    soft = [[replace(face, face=replace(face.face, crop=np.full_like(face.face.crop, 120)))] for [face] in one_face(20)]
    found = statuses(run(one_face(100) + soft + one_face(60), np.arange(180) / 30))
    assert found[:29] == ["filling"] * 29 and set(found[29:100]) == {"ok"}
    assert found[110:120] == ["blurred"] * 10
    clear = found.index("filling", 120)
    assert found[clear:] == ["filling"] * 29 + ["ok"] * (180 - clear - 29)


def test_a_face_that_is_placed_anew_starts_anew():
    seen = one_face(70)
    seen[40] = [replace(seen[40][0], face=crop(0, rekeyed=True))]
    assert statuses(run(seen, np.arange(70) / 30)) == ["filling"] * 29 + ["ok"] * 11 + ["filling"] * 29 + ["ok"]


# --- out of sight for a moment ---------------------------------------------------------------------------------------


def away(before: int, frames: int, after: int, **changes: object) -> list[list[SeenFace]]:
    """The face is out of sight for so many frames; in the first one after them it is found again, and so changed."""
    seen = one_face(before + frames + after)
    seen[before : before + frames] = [[]] * frames
    found = replace(seen[before + frames][0], interrupted=True)
    seen[before + frames] = [replace(found, **changes)]  # type: ignore[arg-type]
    return seen


def test_after_a_moment_out_of_sight_the_window_fills_again_and_the_face_is_calibrated_as_before():
    results = run(away(110, 60, 40), np.arange(210) / 30)
    assert statuses(results)[170:] == ["filling"] * 29 + ["ok"] * 11
    assert [result.faces[0].calibrated for result in (results[80], results[100], results[170])] == [False, True, True]


def test_what_had_been_learned_of_an_uncalibrated_face_counts():
    results = run(away(60, 60, 60), np.arange(180) / 30)
    calibrated = [bool(result.faces) and result.faces[0].calibrated for result in results]
    assert calibrated.index(True) == pytest.approx(60 + 60 + 31, abs=1)


def test_a_face_that_turns_away_for_a_moment_stays_calibrated_but_not_for_long():
    for seconds, stays in ((3, True), (11, False)):
        turned = one_face(30 * seconds, turned=True)
        results = run(one_face(110) + turned + one_face(10), np.arange(120 + len(turned)) / 30)
        assert results[-1].faces[0].calibrated == stays


def test_the_reference_holds_on_over_a_moment_as_if_no_time_had_passed():
    seen = away(40, 60, 5)
    stage, plain = face_stage(Script(seen)), Preprocessor(CONTRACT)
    steps = [i for i in range(105) if not 40 <= i < 100]
    for index in range(105):
        faces = stage.step(Frame(index, index / 30, IMAGE, 0.0)).faces
        if faces:
            expected = plain.step(CROPS[index % len(CROPS)], steps.index(index) / 30)
            np.testing.assert_allclose(faces[0].features, expected, atol=1e-3)  # type: ignore[arg-type]
            assert faces[0].restart == (index in (0, 100)) and faces[0].anew == (index == 0)


def test_what_is_placed_anew_has_a_new_reference():
    stage = face_stage(Script(away(40, 60, 5, face=crop(4, rekeyed=True))))
    plain = Preprocessor(CONTRACT)
    for index in range(105):
        faces = stage.step(Frame(index, index / 30, IMAGE, 0.0)).faces
        if index >= 100:
            own = CROPS[4] if index == 100 else CROPS[index % len(CROPS)]
            np.testing.assert_allclose(faces[0].features, plain.step(own, index / 30), atol=1e-3)
            assert not faces[0].anew


def test_where_it_was_placed_while_turned_away_does_not_matter():
    turned = one_face(30, turned=True)
    turned[10] = [replace(turned[10][0], face=crop(0, rekeyed=True), interrupted=True)]
    stage, plain = face_stage(Script(one_face(30) + turned + one_face(3))), Preprocessor(CONTRACT)
    for index in range(30):
        stage.step(Frame(index, index / 30, IMAGE, 0.0))
        plain.step(CROPS[index % len(CROPS)], index / 30)
    for index in range(30, 61):
        (face,) = stage.step(Frame(index, index / 30, IMAGE, 0.0)).faces
    np.testing.assert_allclose(face.features, plain.step(CROPS[0], 1.0), atol=1e-3)


def test_nothing_is_kept_of_faces_that_nobody_remembers():
    frames = 300
    seen = [[replace(one_face(1)[0][0], track=1 + i // 10)] for i in range(frames)]
    script = Script(seen, remembered=frozenset())
    stage, classify = face_stage(script), ClassifyStage(CONTRACT, CountingEngine)
    for index in range(frames):
        classify.step(stage.step(Frame(index, index / 30, IMAGE, 0.0)))
    assert len(stage._readers) == len(classify._classifiers) == 1 and not classify._away
    assert len(classify._spare) <= 1


# --- time -----------------------------------------------------------------------------------------------------------


def test_a_repeated_or_backward_timestamp_is_counted_and_changes_nothing():
    times_s = list(np.arange(40) / 30)
    results = run(one_face(43), [*times_s[:35], times_s[34], times_s[30], *times_s[35:], times_s[39]])
    assert statuses(results) == ["filling"] * 29 + ["ok"] * 14
    assert [result.frame.index for result in results] == list(range(43))
    assert len({result.faces[0].rate_hz for result in results[36:39]}) == 1


def test_a_repeated_timestamp_is_counted():
    clock = SourceClock(CONTRACT.max_gap_s, CONTRACT.window_s)
    stage = FaceStage(CONTRACT, Script(one_face(5)), clock, ValiditySettings())  # type: ignore[arg-type]
    for index, time_s in enumerate((0.0, 0.1, 0.1, 0.05, 0.2)):
        stage.step(Frame(index, time_s, IMAGE, 0.0))
    assert (clock.repeated, clock.gaps) == (2, 0)


def test_a_gap_forgets_the_faces():
    script = Script(one_face(3))
    stage = face_stage(script)
    for index, time_s in enumerate((0.0, 0.1, 0.5)):
        stage.step(Frame(index, time_s, IMAGE, 0.0))
    assert script.resets == 1


def test_frames_may_be_followed_before_those_before_them_are_read():
    """As in a file, where each has a thread of its own: gaps, resets and repeated times find the same faces."""
    times_s = [*np.arange(10) / 30, 0.3, 1.0, 1.03, 1.03, *(1.06 + np.arange(8) / 30), 0.2, 0.23]
    frames = [Frame(i, time_s, IMAGE, 0.0, restart=i in (5, 13)) for i, time_s in enumerate(times_s)]
    frames[17:] = [replace(frame, image=np.zeros((6, 6, 3), np.uint8)) for frame in frames[17:]]
    scripts = [Script(one_face(len(frames))) for _ in range(2)]
    ahead, plain = (face_stage(script) for script in scripts)
    followed = [ahead.follow(frame) for frame in frames]
    for early, frame in zip(followed, frames, strict=True):
        one, other = ahead.read(early), plain.step(frame)
        assert (one.repeated, one.rate_hz, one.absence) == (other.repeated, other.rate_hz, other.absence)
        for first, second in zip(one.faces, other.faces, strict=True):
            assert (first.status, first.restart, first.anew) == (second.status, second.restart, second.anew)
            np.testing.assert_array_equal(first.features, second.features)
    # Two resets that were asked for, two gaps, another size.
    assert [script.resets for script in scripts] == [5, 5]


def moving(times_s: Sequence[float], movements: Sequence[Movement], track: int = 1) -> list[FaceFeatures]:
    """A face seen at these times, its motion as if it had been measured."""
    rows = face_rows(np.array(times_s), movements, noise_px=0.01)
    return [
        FaceFeatures(track, "ok", crop(), FEATURES, motion_of(time_s, row), restart=i == 0)
        for i, (time_s, row) in enumerate(zip(times_s, rows, strict=True))
    ]


def classified(times_s: Sequence[float], *faces: Sequence[FaceFeatures | None]) -> list[FrameResult]:
    stage = ClassifyStage(CONTRACT, CountingEngine)
    results = []
    for index, time_s in enumerate(times_s):
        there = tuple(face[index] for face in faces if face[index] is not None)
        frame = Frame(index, float(time_s), IMAGE, 0.0)
        results.append(stage.step(FrameFeatures(frame, there, "no_face", 30.0, False, {})))  # type: ignore[arg-type]
    results.append(replace(results[-1], events=stage.finish()))
    return results


def events_of(results: Iterable[FrameResult]) -> list[Event]:
    return [event for result in results for event in result.events]


MOVEMENTS = [Movement(4.03, 4.17, 4.36), Movement(6.4, 6.63, 6.81, regions=("left mouth corner", "right mouth corner"))]


@pytest.mark.parametrize(
    ("fps", "jitter"), [(15, 0.0), (60, 0.0), (120, 0.0), (30, 0.3), (30, 0.45), (60, 0.3), (24, 0.2)]
)
def test_events_do_not_depend_on_the_frame_rate_or_its_jitter(fps, jitter):
    at_30 = grid(8.5)
    expected = accepted(events_of(classified(at_30, moving(at_30, MOVEMENTS))))
    late = np.random.default_rng(1).uniform(-jitter, jitter, round(8.5 * fps))
    times_s = np.maximum(np.arange(round(8.5 * fps)) + late, 0.0) / fps
    found = accepted(events_of(classified(times_s, moving(times_s, MOVEMENTS))))
    assert len(expected) == len(found) == 2
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.kind, ours.label) == (theirs.kind, theirs.label)
        assert (ours.onset_s, ours.apex_s) == pytest.approx((theirs.onset_s, theirs.apex_s), abs=0.04)


# --- faces ----------------------------------------------------------------------------------------------------------


def test_every_face_has_its_own_window_and_events():
    times_s = grid(7.5)
    first = moving(times_s, MOVEMENTS[:1])
    # The second one comes 45 frames later.
    second = [None] * 45 + moving(times_s[45:], [MOVEMENTS[0].later(1.5)], track=2)
    results = classified(times_s, first, second)
    assert [face.filled for face in results[60].faces] == [30, 16]
    assert [face.status for face in results[60].faces] == ["ok", "filling"]
    found = accepted(events_of(results))
    assert sorted((event.track, round(event.apex_s, 1)) for event in found) == [(1, 4.2), (2, 5.7)]
    assert [face.calibrated for face in results[100].faces] == [True, False]


def test_the_events_of_a_face_that_is_gone_come_with_the_next_frame():
    times_s = grid(4.6)
    gone = 3 * 30 + 45
    faces = [*moving(times_s, MOVEMENTS)[:gone], *[None] * (len(times_s) - gone)]
    results = classified(times_s, faces)
    assert not results[gone].faces and {event.track for event in results[gone].events} == {1}
    [event] = [event for event in results[gone].events if event.apex_s > 4.0]
    assert event.rejected == "tracking_lost" or event.offset_s < times_s[gone]
    assert events_of(results[gone + 1 :]) == []


def test_the_end_decides_what_is_open():
    times_s = grid(4.6)
    results = classified(times_s, moving(times_s, MOVEMENTS))
    assert not accepted(events_of(results[:-1]))
    assert [round(event.apex_s, 1) for event in accepted(results[-1].events)] == [4.2]


def test_engines_of_faces_that_are_gone_are_used_again():
    CountingEngine.made = 0
    times_s = grid(4.0)
    comings = [
        [face if start <= i < start + 20 else None for i, face in enumerate(moving(times_s, (), track))]
        for track, start in enumerate(range(0, 100, 20), start=1)
    ]
    results = classified(times_s, *comings)
    assert CountingEngine.made == 1
    # A face's first frame is alone in its window.
    assert [result.faces[0].filled for result in results[:100:20]] == [1] * 5


def test_properties_are_those_of_the_first_face():
    frame = Frame(0, 0.0, IMAGE, 0.0)
    faces = (FaceResult(4, "filling", 7, None, crop()), FaceResult(2, "ok", 30, None, crop()))
    result = FrameResult(frame, faces, "no_face", (), 1.0, {})
    assert (result.status, result.filled, result.prediction, result.face) == ("filling", 7, None, faces[0].face)
    nobody = FrameResult(frame, (), "face_too_small", (), 1.0, {})
    assert (nobody.status, nobody.filled, nobody.prediction, nobody.face) == ("face_too_small", 0, None, None)

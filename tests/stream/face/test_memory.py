"""One person is one number: who is lost from sight for a moment is known again, and nobody else is taken for him."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from model.types import Frame
from stream.face.likeness import Acquaintance, Looks, continuity
from stream.face.memory import MemorySettings
from stream.face.quality import ValiditySettings
from stream.face.tracker import FaceTracker, SeenFaces, TrackerSettings
from tests.helpers.faces import noisy, portrait
from tests.helpers.people import At, Person, picture, two_people
from tests.stream.face.test_tracker import CONTRACT
from train.synth.drawn import drawn_face

ANNA, BEN = two_people()
CARLA = Person(drawn_face(3))
PLACE_PX = 320.0
Draw = Callable[[float], NDArray[np.uint8]]
SHORT = TrackerSettings(memory=MemorySettings(remember_s=1.0))
ONE = TrackerSettings(one_person=True)


def watch(draw: Draw, seconds: float, settings: TrackerSettings | None = None, fps: float = 15.0) -> list[SeenFaces]:
    tracker = FaceTracker(CONTRACT, ValiditySettings(), settings or TrackerSettings())
    try:
        times_s = [index / fps for index in range(round(seconds * fps))]
        return [tracker.step(Frame(i, time_s, draw(time_s), 0.0)) for i, time_s in enumerate(times_s)]
    finally:
        tracker.close()


def numbers(seen: Sequence[SeenFaces]) -> list[int]:
    """In the order of their coming."""
    return list(dict.fromkeys(face.track for frame in seen for face in frame.faces))


def scene(*spans: tuple[float, Person | None]) -> Draw:
    """One after the other at the same place in the same size, each till a time, None: nobody."""

    def draw(time_s: float) -> NDArray[np.uint8]:
        person = next((person for end_s, person in spans if time_s < end_s - 1e-6), spans[-1][1])
        return picture([] if person is None else [At(person, PLACE_PX)], round(1000 * time_s))

    return draw


def with_hand(draw: Draw, start_s: float, end_s: float) -> Draw:
    """A hand passes upwards before the lower face."""

    def draw_hand(time_s: float) -> NDArray[np.uint8]:
        image = draw(time_s)
        if start_s <= time_s < end_s:
            y = round(260 - 110 * (time_s - start_s) / (end_s - start_s))
            cv2.ellipse(image, (320, y), (60, 45), 0, 0, 360, (120, 150, 200), -1)
        return image

    return draw_hand


@pytest.mark.parametrize("away_s", [0.2, 1.0, 4.0])
def test_one_who_is_away_for_a_moment_keeps_number_and_reference(away_s: float) -> None:
    seen = watch(scene((0.6, ANNA), (0.6 + away_s, None), (9, ANNA)), 1.2 + away_s)
    assert numbers(seen) == [1] and len(seen[-1].faces) == 1
    lost = [not frame.faces for frame in seen]
    assert sum(lost) == pytest.approx(15 * away_s, abs=2)
    assert all(frame.remembered == {1} for frame in seen)
    placed = [face.face.rekeyed for frame in seen for face in frame.faces if face.interrupted]
    assert placed == [True, False], "it is tied to what it was before"


def test_a_hand_before_the_face() -> None:
    seen = watch(with_hand(scene((9, ANNA)), 0.6, 1.4), 2.4)
    assert numbers(seen) == [1] and len(seen[-1].faces) == 1


@pytest.mark.parametrize("away_s", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("other", [BEN, CARLA], ids=["ben", "carla"])
def test_another_person_at_the_same_place_gets_a_new_number(other: Person, away_s: float) -> None:
    seen = watch(scene((0.6, ANNA), (0.6 + away_s, None), (9, other)), 2.6 + away_s)
    assert numbers(seen) == [1, 2]
    changed = round((0.6 + away_s) * 15)
    assert all(face.track == 2 for frame in seen[changed:] for face in frame.faces)
    assert [face.track for face in seen[-1].faces] == [2]


def test_two_drawn_people_are_told_apart() -> None:
    seen = watch(scene((0.6, BEN), (1.6, None), (9, CARLA)), 5.2)
    assert numbers(seen) == [1, 2] and len(seen[-1].faces) == 1


def test_who_was_away_for_long_is_somebody_new() -> None:
    seen = watch(scene((0.6, ANNA), (2.0, None), (9, ANNA)), 2.4, SHORT)
    assert numbers(seen) == [1, 2]
    assert [frame.remembered for frame in seen[26:29]] == [frozenset()] * 3


def test_one_person_has_one_number_whoever_it_is() -> None:
    seen = watch(scene((0.6, ANNA), (1.0, BEN), (2.0, None), (9, CARLA)), 2.4, ONE)
    assert numbers(seen) == [1] and len(seen[-1].faces) == 1
    others = [face.face.rekeyed for frame in seen for face in frame.faces if face.interrupted]
    assert others == [True] * 3, "another face is no rest to compare with"


def test_one_person_is_one_face() -> None:
    with pytest.raises(ValueError, match="max_faces: expected 1 with one_person, found 2"):
        TrackerSettings(max_faces=2, one_person=True)


@pytest.mark.parametrize(("missed", "kept"), [(1, True), (3, False)])
def test_a_look_that_finds_nothing_ends_nobody(monkeypatch: pytest.MonkeyPatch, missed: int, kept: bool) -> None:
    from stream.face.landmarks import FaceMeshDetector

    looks: list[int] = []
    detect = FaceMeshDetector.detect_with_depth

    def sometimes(self: FaceMeshDetector, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        if image.shape[:2] != picture([]).shape[:2]:
            return detect(self, image)
        looks.append(1)
        return [] if 2 <= len(looks) < 2 + missed else detect(self, image)

    monkeypatch.setattr(FaceMeshDetector, "detect_with_depth", sometimes)
    seen = watch(scene((9, ANNA)), 2.4)
    assert numbers(seen) == [1] and len(seen[-1].faces) == 1
    assert all(frame.faces for frame in seen) == kept


def test_no_more_are_remembered_than_a_few() -> None:
    """Somebody new at another place every time."""
    people = [Person(drawn_face(seed)) for seed in range(8)]

    def draw(time_s: float) -> NDArray[np.uint8]:
        index = int(time_s / 0.4)
        there = [At(people[index % 8], 90 + 150.0 * (index % 4), 110 + 130 * (index // 4 % 2))]
        return picture(there if time_s % 0.4 < 0.3 else [])

    seen = watch(draw, 3.2)
    assert max(len(frame.remembered) for frame in seen) <= MemorySettings().most + 1
    assert len(numbers(seen)) >= 6


# --- likeness --------------------------------------------------------------------------------------------------------


def crops() -> list[NDArray[np.uint8]]:
    image = portrait()[60:188, 160:288]
    return [noisy(image, np.random.default_rng(seed), 2.0) for seed in range(2)]


def test_looks_do_not_depend_on_light_but_on_the_face() -> None:
    first, again = crops()
    darker = np.clip(0.8 * again + 5, 0, 255).astype(np.uint8)
    assert Looks.of(first).likeness(Looks.of(darker)) > 0.95
    assert Looks.of(first).likeness(Looks.of(np.ascontiguousarray(first[::-1]))) < 0.3
    tinted = first.astype(np.float32) * (1.0, 0.8, 0.6)
    assert Looks.of(first).likeness(Looks.of(tinted.astype(np.uint8))) < 0.8


def test_several_poses_are_remembered_and_not_without_end() -> None:
    known = Acquaintance()
    face = crops()[0]
    assert known.likeness(Looks.of(face)) == -1.0
    poses = [Looks.of(np.roll(face, shift, axis=1)) for shift in range(0, 60, 4)]
    for pose in poses[:8]:
        known.add(pose)
    assert all(known.likeness(pose) > 0.9 for pose in poses[:8]) and known.likeness(poses[-1]) < 0.7
    for _ in range(3):
        for shift in range(-60, 60):
            known.add(Looks.of(np.roll(face, shift, axis=1)))
    assert len(known._exemplars) <= 16


def test_continuity_is_that_of_a_thing_that_moves() -> None:
    face, again = (cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops())
    other = cv2.cvtColor(cv2.resize(drawn_face(0).image, (128, 128)), cv2.COLOR_RGB2GRAY)
    assert continuity(face, np.roll(again, (6, -9), (0, 1))) > 0.95
    assert continuity(face, other) < 0.6

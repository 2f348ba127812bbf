"""Several people: who is followed under which number, and that no number ever shows two of them."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from model.contract import ClipContract, NetworkInput, Reference
from model.types import FaceCrop, Frame
from stream.face.landmarks import HeadTurn
from stream.face.quality import ValiditySettings
from stream.face.tracker import FaceTracker, SeenFaces, TrackerSettings
from tests.helpers.faces import moved, noisy, portrait
from tests.helpers.pair_video import make_pair_video
from tests.helpers.people import HEIGHT_PX, IOD_PX, WIDTH_PX, At, Person, picture, two_people
from train.synth.drawn import drawn_face
from train.synth.faces import astronaut
from train.synth.long_video_script import ScriptSettings

CONTRACT = ClipContract(("a", "b"), input=NetworkInput("flow", 64), reference=Reference("ema", time_constant_s=2.0))
ANNA, BEN = two_people()
LEFT_PX, RIGHT_PX = 150.0, 490.0
Scene = Callable[[float], Sequence[At]]
"""Who is where at a time; later ones are in front."""


@contextmanager
def tracker_of(max_faces: int) -> Iterator[FaceTracker]:
    tracker = FaceTracker(CONTRACT, ValiditySettings(), TrackerSettings(max_faces=max_faces))
    try:
        yield tracker
    finally:
        tracker.close()


def watch(scene: Scene, seconds: float, max_faces: int = 2, fps: float = 30.0) -> list[SeenFaces]:
    with tracker_of(max_faces) as tracker:
        times_s = [index / fps for index in range(round(seconds * fps))]
        pictures = (picture(scene(time_s), index) for index, time_s in enumerate(times_s))
        return [
            tracker.step(Frame(i, t, image, 0.0)) for (i, t), image in zip(enumerate(times_s), pictures, strict=True)
        ]


def eyes_px(face: FaceCrop) -> tuple[float, float]:
    """Where in the picture the crop's eyes are."""
    back = cv2.invertAffineTransform(face.transform)
    x, y = back @ np.array([CONTRACT.crop.size_px / 2, CONTRACT.crop.eye_line_px, 1.0])
    return float(x), float(y)


def shown(face: FaceCrop, there: Sequence[At]) -> Person | None:
    """Whom a crop shows: the one in front of those whose face covers the place of its eyes."""
    x, y = eyes_px(face)
    for at in reversed(there):
        if math.hypot(x - at.x_px, y - at.y_px) < 1.2 * at.iod_px:
            return at.person
    return None


def people_by_buffer(seen: Sequence[SeenFaces], scene: Scene, fps: float = 30.0) -> list[set[Person | None]]:
    """Whom the frames of each buffer show; a buffer starts with a number, and anew wherever the face was interrupted."""
    buffers: dict[int, list[set[Person | None]]] = defaultdict(list)
    for index, frame in enumerate(seen):
        for face in frame.faces:
            if face.interrupted or not buffers[face.track]:
                buffers[face.track].append(set())
            buffers[face.track][-1].add(shown(face.face, scene(index / fps)))
    return [people for found in buffers.values() for people in found]


def numbers(seen: Sequence[SeenFaces]) -> list[tuple[int, ...]]:
    """The numbers of the faces of every frame, runs of the same ones once."""
    found = [tuple(face.track for face in frame.faces) for frame in seen]
    return [now for index, now in enumerate(found) if index == 0 or now != found[index - 1]]


def between(time_s: float, start_s: float, end_s: float, from_px: float, to_px: float) -> float:
    share = min(max((time_s - start_s) / (end_s - start_s), 0.0), 1.0)
    return from_px + (to_px - from_px) * (0.5 - 0.5 * math.cos(math.pi * share))


def test_two_people_keep_their_numbers_and_their_order():
    """One breathes to and fro, so that now the one, now the other is larger by a little."""

    def scene(time_s: float) -> list[At]:
        return [At(ANNA, LEFT_PX, iod_px=IOD_PX * (1 + 0.05 * math.sin(4 * time_s))), At(BEN, RIGHT_PX)]

    seen = watch(scene, 2.5)
    assert numbers(seen) in ([(1, 2)], [(2, 1)])
    assert people_by_buffer(seen, scene) in ([{ANNA}, {BEN}], [{BEN}, {ANNA}])


def test_the_larger_face_comes_first():
    seen = watch(lambda _: [At(ANNA, LEFT_PX, iod_px=40), At(BEN, RIGHT_PX, iod_px=65)], 0.3)
    assert [shown(face.face, [At(ANNA, LEFT_PX), At(BEN, RIGHT_PX)]) for face in seen[-1].faces] == [BEN, ANNA]


def test_alone_of_two_of_a_size_the_same_one_is_followed_all_the_time():
    def scene(time_s: float) -> list[At]:
        return [At(ANNA, LEFT_PX, iod_px=IOD_PX * (1 + 0.06 * math.sin(9 * time_s))), At(BEN, RIGHT_PX)]

    seen = watch(scene, 4.2, max_faces=1)
    assert numbers(seen) == [(1,)]
    assert len(people_by_buffer(seen, scene)) == 1


def crossing(front: Person, seconds: float) -> tuple[Scene, float, float]:
    """They change places in so many seconds, `front` before the other; with the times of start and end."""
    start_s, end_s = 0.6, 0.6 + seconds

    def scene(time_s: float) -> list[At]:
        there = [
            At(ANNA, between(time_s, start_s, end_s, LEFT_PX, RIGHT_PX)),
            At(BEN, between(time_s, start_s, end_s, RIGHT_PX, LEFT_PX)),
        ]
        return there if front is BEN else there[::-1]

    return scene, start_s, end_s


@pytest.mark.parametrize(
    ("front", "seconds"), [(ANNA, 1.2), (BEN, 1.2), (ANNA, 3.0)], ids=["photo", "drawing", "slowly"]
)
def test_two_who_cross_get_new_numbers_and_no_buffer_holds_both(front: Person, seconds: float):
    scene, _, end_s = crossing(front, seconds)
    seen = watch(scene, end_s + 0.8)
    assert all(len(people) == 1 for people in people_by_buffer(seen, scene))
    assert {face.track for face in seen[5].faces} == {1, 2}
    after = {face.track: shown(face.face, scene(end_s + 0.8)) for face in seen[-1].faces}
    assert set(after.values()) == {ANNA, BEN} and not set(after) & {1, 2}
    overlapping = [frame for frame in seen if not frame.faces]
    assert overlapping and all(frame.absence == "tracking_lost" for frame in overlapping)


@pytest.mark.parametrize("front", [ANNA, BEN], ids=["photo in front", "drawing in front"])
def test_alone_followed_nobody_is_mixed_with_one_who_passes(front: Person):
    scene, _, end_s = crossing(front, 1.5)
    seen = watch(scene, end_s + 1.2, max_faces=1)
    assert all(len(people) == 1 for people in people_by_buffer(seen, scene))
    assert len(seen[-1].faces) == 1


def test_a_cut_to_another_person_at_the_same_place_ends_the_number():
    def scene(time_s: float) -> list[At]:
        return [At(ANNA if time_s < 1.0 - 1e-6 else BEN, 320.0)]

    seen = watch(scene, 1.6, max_faces=1)
    assert [face.track for frame in seen[:30] for face in frame.faces] == [1] * 30
    assert all(face.track == 2 for frame in seen[30:] for face in frame.faces) and len(seen[-1].faces) == 1
    assert people_by_buffer(seen, scene) == [{ANNA}, {BEN}]


def test_the_same_face_after_a_jump_of_the_zoom_keeps_its_number():
    """A window starts anew all the same; the neutral reference holds on."""

    def scene(time_s: float) -> list[At]:
        return [At(ANNA, 320.0, iod_px=60 if time_s < 0.5 - 1e-6 else 36)]

    seen = watch(scene, 1.0, max_faces=1)
    assert numbers(seen) == [(1,)]
    assert [i for i, frame in enumerate(seen) if frame.faces[0].interrupted] == [0, 15]
    assert [i for i, frame in enumerate(seen) if frame.faces[0].face.rekeyed] == [0]


def test_who_leaves_and_comes_back_gets_a_new_number():
    def scene(time_s: float) -> list[At]:
        return [At(BEN, RIGHT_PX)] + [At(ANNA, LEFT_PX)] * (not 0.4 <= time_s < 0.8)

    seen = watch(scene, 1.5)
    anna = {face.track for frame in seen for face in frame.faces if eyes_px(face.face)[0] < 320}
    ben = {face.track for frame in seen for face in frame.faces if eyes_px(face.face)[0] > 320}
    assert len(anna) == 2 and len(ben) == 1 and not anna & ben


def test_somebody_new_is_found_while_another_is_followed():
    def scene(time_s: float) -> list[At]:
        return [At(BEN, RIGHT_PX)] + [At(ANNA, LEFT_PX)] * (time_s >= 0.3)

    seen = watch(scene, 1.0)
    first = next(index for index, frame in enumerate(seen) if len(frame.faces) == 2)
    assert 0.3 <= first / 30 <= 0.3 + TrackerSettings().search_every_s + 0.05
    assert numbers(seen) == [(1,), (1, 2)]


def test_a_clearly_larger_face_takes_the_place_of_the_smallest():
    def scene(time_s: float) -> list[At]:
        return [At(BEN, RIGHT_PX, iod_px=35)] + [At(ANNA, LEFT_PX, iod_px=60)] * (time_s >= 0.5)

    seen = watch(scene, 1.6, max_faces=1)
    assert numbers(seen) == [(1,), (2,)]
    assert people_by_buffer(seen, scene) == [{BEN}, {ANNA}]


def test_nobody_and_too_small():
    assert [frame.absence for frame in watch(lambda _: [], 0.1)] == ["no_face"] * 3
    with tracker_of(1) as tracker:
        # As much of the picture as Face Mesh needs, but of few pixels.
        small = cv2.resize(picture([At(ANNA, 320.0)]), (WIDTH_PX // 4, HEIGHT_PX // 4), interpolation=cv2.INTER_AREA)
        seen = tracker.step(Frame(0, 0.0, small, 0.0))
        assert ValiditySettings().min_iod_px > IOD_PX / 4
        assert (seen.faces, seen.absence) == ((), "face_too_small")


def test_a_face_that_looks_back_is_placed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was placed on a turned face has not the right size. While it is turned, Face Mesh looks twice as often."""
    turns = [HeadTurn(0.6, 0.6)] * 2 + [HeadTurn(0.0, 0.6)] * 9
    monkeypatch.setattr("stream.face.follower.head_turn", lambda landmarks: turns.pop(0))
    seen = watch(lambda _: [At(ANNA, 320.0)], 2.2, max_faces=1)
    assert numbers(seen) == [(1,)]
    faces = [frame.faces[0] for frame in seen]
    assert [face.turned for face in faces] == [True] * 30 + [False] * 36
    assert [index for index, face in enumerate(faces) if face.face.rekeyed] == [0, 30]
    assert len(turns) == 7


def test_numbers_go_on_after_a_reset():
    with tracker_of(2) as tracker:
        image = picture([At(ANNA, LEFT_PX), At(BEN, RIGHT_PX)])
        first = {face.track for face in tracker.step(Frame(0, 0.0, image, 0.0)).faces}
        tracker.reset()
        again = {face.track for face in tracker.step(Frame(1, 0.1, image, 0.0)).faces}
    assert (first, again) == ({1, 2}, {3, 4})


def test_three_people_of_whom_two_cross():
    """The third keeps the number."""
    carla = Person(drawn_face(3))
    scene_of_two, _, end_s = crossing(BEN, 1.2)

    def scene(time_s: float) -> list[At]:
        two = [At(at.person, 0.62 * at.x_px, 110.0, 38.0) for at in scene_of_two(time_s)]
        return [*two, At(carla, 540.0, 230.0, 45.0)]

    seen = watch(scene, end_s + 0.8, max_faces=3)
    assert all(len(people) == 1 for people in people_by_buffer(seen, scene))
    kept = [face.track for frame in seen for face in frame.faces if eyes_px(face.face)[0] > 460]
    assert len(kept) == len(seen) and len(set(kept)) == 1
    assert len(seen[-1].faces) == 3


def test_a_made_video_of_two_who_cross() -> None:
    """Whole people with hair and shoulders, moving as they like; 15 frames a second of the time around the crossing."""
    video = make_pair_video([astronaut(), drawn_face(0)], 3, 0, "crossing", ScriptSettings(duration_s=18.0, lead_s=1.0))
    apart_s = [t for t in np.arange(0, 18, 0.1) if all(w.shown > 0.99 for w in video.scene.whereabouts(t))]
    hidden_s = [t for t in np.arange(0, 18, 0.1) if t not in apart_s]
    times_s = np.arange(hidden_s[0] - 1.0, hidden_s[-1] + 1.0, 1 / 15)
    buffers: dict[tuple[int, int], set[int]] = defaultdict(set)
    starts: dict[int, int] = defaultdict(int)
    with tracker_of(2) as tracker:
        for index, time_s in enumerate(times_s.tolist()):
            image = video.scene.draw([script.pose(time_s) for script in video.scripts], time_s)
            seen = tracker.step(Frame(index, time_s, image, 0.0))
            there = sorted(video.scene.whereabouts(time_s), key=lambda where: -where.shown)
            for face in seen.faces:
                starts[face.track] += face.interrupted
                x, y = eyes_px(face.face)
                near = [w.person for w in there if math.hypot(x - w.eyes_px[0], y - w.eyes_px[1]) < w.iod_px]
                buffers[face.track, starts[face.track]].add(near[0])
    assert all(len(people) == 1 for people in buffers.values())
    assert {person for people in buffers.values() for person in people} == {0, 1}
    assert len(seen.faces) == 2 and not {face.track for face in seen.faces} & {1, 2}


def test_settings_are_checked():
    with pytest.raises(ValueError, match="max_faces: expected 1 or more, found 0"):
        TrackerSettings(max_faces=0)


# --- posters, and faces picked by their place ------------------------------------------------------------------------


def swaying(person: Person, x_px: float, time_s: float, iod_px: float) -> At:
    return At(person, x_px + math.sin(2 * time_s), 150 + 0.7 * math.sin(3 * time_s), iod_px)


def test_a_larger_poster_gives_way_to_the_person_beside_it():
    def scene(time_s: float) -> list[At]:
        return [At(ANNA, LEFT_PX, iod_px=70), swaying(BEN, RIGHT_PX, time_s, 45)]

    seen = watch(scene, 10.0, max_faces=1)
    assert [shown(face.face, scene(0)) for face in seen[60].faces] == [ANNA]
    assert any(not face.alive for frame in seen for face in frame.faces), "the hint"
    assert [(shown(face.face, scene(0)), face.alive) for face in seen[-1].faces] == [(BEN, True)]
    assert [face.alive for frame in seen[270:] for face in frame.faces] == [True] * 30


def test_a_poster_alone_is_said_to_be_one():
    seen = watch(lambda _: [At(ANNA, LEFT_PX)], 9.5, max_faces=1)
    assert [(face.track, face.alive) for face in seen[-1].faces] == [(1, False)]


def test_a_poster_that_was_hidden_is_known_again():
    """Somebody passes in front of it; it does not take the other person's place meanwhile."""

    def scene(time_s: float) -> list[At]:
        there = [swaying(BEN, RIGHT_PX, time_s, 45)]
        return there if 9.0 < time_s < 9.5 else [At(ANNA, LEFT_PX, iod_px=70), *there]

    seen = watch(scene, 11.5, max_faces=1)
    assert {
        shown(face.face, [At(ANNA, LEFT_PX, iod_px=70), At(BEN, RIGHT_PX)])
        for frame in seen[290:]
        for face in frame.faces
    } == {BEN}


@pytest.mark.parametrize("place", [(RIGHT_PX, 150.0), (RIGHT_PX / WIDTH_PX, 150.0 / HEIGHT_PX)])
def test_a_face_is_picked_by_its_place(place):
    there = [At(ANNA, LEFT_PX, iod_px=70), At(BEN, RIGHT_PX, iod_px=40)]
    tracker = FaceTracker(CONTRACT, ValiditySettings(), TrackerSettings(face_at=place))
    try:
        seen = [tracker.step(Frame(i, i / 30, picture(there, i), 0.0)) for i in range(280)]
    finally:
        tracker.close()
    assert {shown(face.face, there) for frame in seen for face in frame.faces} == {BEN}
    assert all(face.alive for frame in seen for face in frame.faces), "it was asked for"


def test_a_place_has_to_be_in_the_picture():
    with pytest.raises(ValueError, match="face_at: expected x and y of 0 or more"):
        TrackerSettings(face_at=(-1.0, 3.0))


# --- which way up ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("degrees", "upright"), [(0, True), (25, True), (-40, True), (70, False), (180, False)])
def test_a_face_on_its_head_is_not_upright(degrees: float, upright: bool):
    wide = cv2.copyMakeBorder(portrait(), 100, 100, 100, 100, cv2.BORDER_REFLECT)
    settings = ValiditySettings()
    with tracker_of(1) as tracker:
        seen = [
            tracker.step(
                Frame(i, i / 30, noisy(moved(wide, math.sin(i), 0.0, degrees)[0], np.random.default_rng(i)), 0.0)
            )
            for i in range(20)
        ]
    found = [settings.of_place(face.iod_px, face.turned, face.roll_deg) for frame in seen for face in frame.faces]
    assert len(found) >= 5 and set(found) == ({"ok"} if upright else {"not_upright"})

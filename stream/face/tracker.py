"""The faces of a video: found by Face Mesh, followed by motion, each person under one number.

Face Mesh is needed to start, when a face breaks off, and now and then: to see that a face is still where it is followed,
and whether somebody new is there. A face that is lost from sight is remembered for a while and keeps its number when it
comes back (`stream.face.memory`). Two faces that overlap in the picture both end, and get new numbers when they are apart
again, since nobody can say which of them is which.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from model.types import FaceCrop, Frame, Image, Status
from stream.face.follower import FaceFollower, FoundFace
from stream.face.landmarks import FaceMeshDetector
from stream.face.light import LightFault
from stream.face.memory import FaceMemory, MemorySettings
from stream.face.quality import ValiditySettings

_OTHERS = 3
"""Faces that are looked for besides those that are followed."""

_UPRIGHT_LOOKS, _MISSED_LOOKS = 2, 2
"""So many looks after each other say that a face is the right way up again, or not there any more."""
_ELSEWHERE_IOD = 2.0
"""A face that is found so near to where one is followed, but not there, is that one, or before it."""


@dataclass(frozen=True)
class TrackerSettings:
    """`max_faces`: so many are followed at once.

    Face Mesh looks every `check_every_s` while all faces that may be are followed, every `search_every_s` while there
    are fewer or one is turned away (at every frame while there are none). A face is the one followed when its eyes are within
    `same_place_iod`. `apart_s`: after faces overlapped, one alone must be seen for so long. A face `larger_share` times as
    large as another comes before it. `memory`: of faces that are lost from sight. `one_person`: there is only one, so that
    whoever is found has the number 1, whatever he looks like.

    `face_at`: where in the picture the one to follow is, x and y, in pixels, or as shares when neither is above 1; it is
    followed whatever its size, and even if it never moves. Others come after it, in the order in which they are found.
    """

    max_faces: int = 1
    check_every_s: float = 1.0
    search_every_s: float = 0.5
    same_place_iod: float = 0.5
    apart_s: float = 0.5
    larger_share: float = 1.3
    face_at: tuple[float, float] | None = None
    memory: MemorySettings = field(default_factory=MemorySettings)
    one_person: bool = False

    def __post_init__(self) -> None:
        if self.max_faces < 1:
            raise ValueError(f"max_faces: expected 1 or more, found {self.max_faces}")
        if self.one_person and self.max_faces > 1:
            raise ValueError(f"max_faces: expected 1 with one_person, found {self.max_faces}")
        if self.face_at is not None and not all(0 <= place < np.inf for place in self.face_at):
            raise ValueError(f"face_at: expected x and y of 0 or more, found {self.face_at}")


@dataclass(frozen=True, eq=False)
class SeenFace:
    """A followed face in one frame; `turned` away when Face Mesh looked last, `iod_px` in image pixels.

    `interrupted`: it was lost from sight, or its place corrected, so that it does not go on from the frame before; unless its
    crop is `rekeyed`, it goes on from what it was before that.

    `roll_deg`: how far it lies on its side, 180 where it stands on its head. Not `alive`: a poster or a photo.

    `steady_crop`: the face's crop in steady light, None where that is the same. `light_fault`: what is wrong with it still.
    """

    track: int
    face: FaceCrop
    turned: bool
    iod_px: float
    steady_crop: Image | None = None
    light_fault: LightFault | None = None
    roll_deg: float = 0.0
    alive: bool = True
    interrupted: bool = False


@dataclass(frozen=True, eq=False)
class SeenFaces:
    """The faces of a frame, largest first; `absence` says why there is none. `remembered`: the numbers of others that may
    come back."""

    faces: tuple[SeenFace, ...]
    absence: Status
    remembered: frozenset[int] = frozenset()


class _Track:
    """A face, its number, and whether it was turned away, or upside down, when Face Mesh last looked."""

    def __init__(self, number: int, follower: FaceFollower) -> None:
        self.number, self.follower = number, follower
        self.turned = self.upside_down = False
        self.upright_looks = self.missed_looks = 0

    def judge_upside_down(self, seems_so: bool) -> None:
        """It takes some looks after each other to be the right way up again."""
        self.upright_looks = 0 if seems_so else self.upright_looks + 1
        self.upside_down = seems_so or (self.upside_down and self.upright_looks < _UPRIGHT_LOOKS)

    @property
    def outline(self) -> NDArray[np.float32]:
        return self.follower.crop.outline

    def seen(self, poster: bool) -> SeenFace:
        follower = self.follower
        return SeenFace(
            self.number,
            follower.crop,
            self.turned,
            follower.iod_px,
            follower.steady_crop,
            follower.light.fault,
            180.0 if self.upside_down else follower.roll_deg,
            not poster,
            follower.interrupted,
        )


class FaceTracker:
    """Follows the largest faces. `step` takes frames in order; `reset()` forgets them, but no number is used again.

    Needs `close()`.
    """

    def __init__(
        self, contract: ClipContract, validity: ValiditySettings, settings: TrackerSettings | None = None
    ) -> None:
        self._contract = contract
        self._validity = validity
        self._settings = settings or TrackerSettings()
        # Asked now and then only, Face Mesh must look for faces afresh: where they were when last asked is long past.
        # It is asked for more than are followed, so that those are among them when others are there too.
        self._detector = FaceMeshDetector(static=True, max_faces=self._settings.max_faces + _OTHERS)
        self._memory: FaceMemory[_Track] = FaceMemory(contract.crop, self._settings.memory)
        self._numbers = 0
        self.reset()

    def reset(self) -> None:
        self._tracks: list[_Track] = []
        self._memory.reset()
        # Posters that were lost from sight.
        self._posters: deque[_Track] = deque(maxlen=_OTHERS)
        self._looked_s = -np.inf
        self._overlap_s = -np.inf

    def close(self) -> None:
        self._detector.close()

    def step(self, frame: Frame) -> SeenFaces:
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        self._memory.step(grey, frame.time_s)
        before = len(self._tracks)
        lost = [track for track in self._tracks if not track.follower.step(frame.image, grey, frame.time_s)]
        for track in lost:
            self._lose(track, frame.time_s)
        self._end_overlapping(frame.time_s)
        absence: Status = "tracking_lost" if before else "no_face"
        if lost or self._is_time(frame.time_s):
            absence = self._look(frame, grey) or absence
        self._order()
        # What does not live is said only where nobody does.
        shown = sorted(self._tracks, key=self._is_poster)[: self._settings.max_faces]
        remembered = frozenset(track.number for track in (*self._tracks, *self._memory.tracks))
        return SeenFaces(tuple(track.seen(self._is_poster(track)) for track in shown), absence, remembered)

    def _is_poster(self, track: _Track) -> bool:
        return self._settings.face_at is None and not track.follower.life.alive

    def _wanted(self) -> list[_Track]:
        """The followed faces that are people. Posters are followed too, to know them, but take nobody's place."""
        return [track for track in self._tracks if not self._is_poster(track)]

    def _is_time(self, time_s: float) -> bool:
        full = len(self._wanted()) >= self._settings.max_faces
        if not self._tracks or (self._waiting(time_s) and not full):
            return True
        settled = full and not any(track.turned or track.missed_looks for track in self._tracks)
        every_s = self._settings.check_every_s if settled else self._settings.search_every_s
        return time_s - self._looked_s >= every_s

    def _waiting(self, time_s: float) -> bool:
        """Whether faces overlapped a moment ago, so that one alone may hide another."""
        return time_s - self._overlap_s < self._settings.apart_s

    def _end_overlapping(self, time_s: float) -> None:
        ended = _overlapping([track.outline for track in self._tracks])
        if ended:
            self._overlap_s = time_s
            for track in [self._tracks[number] for number in sorted(ended)]:
                self._end(track, time_s)
        # Behind one who is where it was, a lost face may be anybody's later.
        for lost in self._memory.tracks:
            if not self._settings.one_person and any(_intersect(lost.outline, t.outline) for t in self._tracks):
                self._memory.forget(lost)

    def _lose(self, track: _Track, time_s: float) -> None:
        """It is followed no more, but remembered; what was found to be a poster for good."""
        self._tracks.remove(track)
        if self._is_poster(track):
            self._posters.append(track)
        else:
            self._memory.lose(track, time_s)

    def _end(self, track: _Track, time_s: float) -> None:
        """It may be mixed up with another one, so that it is not known again; what was found to be a poster is."""
        if track in self._tracks:
            self._lose(track, time_s)
        if not self._settings.one_person:
            self._memory.forget(track)

    def _look(self, frame: Frame, grey: Image) -> Status | None:
        """Face Mesh looks again: followed faces are confirmed or lost, others followed, anew or again. Why one is not."""
        time_s = self._looked_s = frame.time_s
        found = _different([FoundFace.of(points) for points in self._detector.detect_with_depth(frame.image)])
        if len(found) > 1:
            self._memory.note_several(time_s)
        numbers = _overlapping([face.outline for face in found])
        if numbers:
            self._overlap_s = time_s
        overlapping = [found[number] for number in numbers]
        for track in [t for t in (*self._tracks, *self._memory.tracks) if _is_near(t, overlapping, _ELSEWHERE_IOD)]:
            self._end(track, time_s)
        free = self._confirm(frame, grey, [face for n, face in enumerate(found) if n not in numbers])
        if self._waiting(time_s) and len(free) < 2:
            return "tracking_lost"
        point = self._settings.face_at
        if point is not None:
            height, width = frame.image.shape[:2]
            x_px, y_px = (point[0] * width, point[1] * height) if max(point) <= 1 else point
            free.sort(key=lambda face: float(np.hypot(*(face.outline.mean(axis=0) - (x_px, y_px)))))
            self._make_room_for_meant(free, (x_px, y_px), time_s)
        return self._follow_all(frame, grey, free)

    def _follow_all(self, frame: Frame, grey: Image, found: Sequence[FoundFace]) -> Status | None:
        """Follows faces that are not followed, as far as there is room and it is clear whose they are. Why one is not."""
        absence: Status | None = None
        known: list[tuple[FoundFace, _Track | None]] = []
        for face in found:
            same, is_open = self._followed_before(frame, face)
            if is_open:
                absence = "face_turned" if self._validity.is_turned(face.turn) else "tracking_lost"
            elif same is None or all(same is not other for _, other in known):
                known.append((face, same))
        if self._settings.face_at is None:
            self._make_room([f for f, same in known if same is None or not self._is_poster(same)], frame.time_s)
        for face, same in known:
            if face.iod_px < self._validity.min_iod_px:
                return "face_too_small"
            if len(self._wanted()) < self._settings.max_faces or (same is not None and self._is_poster(same)):
                self._follow(frame, grey, face, same)
        return absence

    def _confirm(self, frame: Frame, grey: Image, found: Sequence[FoundFace]) -> list[FoundFace]:
        """Loses followed faces that are not among the found ones; the found ones that are not followed, largest first."""
        free = list(found)
        for track in list(self._tracks):
            face = min(free, key=track.follower.distance_iod, default=None)
            if face is None or track.follower.distance_iod(face) > self._settings.same_place_iod:
                # A hand, or a look aside, hides a face from Face Mesh for a moment.
                track.missed_looks += 1
                if track.missed_looks >= _MISSED_LOOKS or _is_near(track, free, _ELSEWHERE_IOD):
                    self._lose(track, frame.time_s)
                continue
            free.remove(face)
            self._correct(frame, grey, track, face)
        return free

    def _correct(self, frame: Frame, grey: Image, track: _Track, face: FoundFace) -> None:
        """Face Mesh has found a followed face about where it is."""
        follower, turn = track.follower, face.turn
        track.missed_looks, track.turned = 0, self._validity.is_turned(turn)
        # What was placed on a turned face has not the right size.
        placed = follower.drifted(face) or (follower.placed_turned and not track.turned)
        if placed:
            follower.place(frame.image, grey, face, frame.time_s, track.turned)
        else:
            follower.confirm(grey, face, not track.turned and abs(turn.yaw) <= 0.5 * self._validity.max_yaw)
        if placed or track.upside_down:
            track.judge_upside_down(self._detector.is_upside_down(frame.image, face.landmarks))

    def _make_room(self, others: Sequence[FoundFace], time_s: float) -> None:
        """Leaves the smallest face when a clearly larger one could be followed instead."""
        wanted = self._wanted()
        if len(wanted) < self._settings.max_faces or not others:
            return
        smallest = min(wanted, key=lambda track: track.follower.iod_px)
        if max(face.iod_px for face in others) > self._settings.larger_share * smallest.follower.iod_px:
            self._lose(smallest, time_s)

    def _make_room_for_meant(self, others: Sequence[FoundFace], point_px: tuple[float, float], time_s: float) -> None:
        """Leaves a face when another one is where the one to follow is, and none of those that are followed."""
        full = len(self._tracks) >= self._settings.max_faces
        there = any(_holds(track.outline, point_px) for track in self._tracks)
        if full and not there and any(_holds(face.outline, point_px) for face in others):
            self._lose(self._tracks[-1], time_s)

    def _followed_before(self, frame: Frame, face: FoundFace) -> tuple[_Track | None, bool]:
        """The lost face, or poster, that a found one is again, and whether it is still open which one it is."""
        for poster in self._posters:
            if poster.follower.distance_iod(face) <= self._settings.same_place_iod:
                looks = poster.follower.looks(frame.image, face)
                if poster.follower.known.likeness(looks) >= self._settings.memory.alike:
                    return poster, False
        if self._settings.one_person:
            return next(iter(self._memory.tracks), None), False
        return self._memory.whose(frame.image, face, self._validity.is_turned(face.turn), frame.time_s)

    def _follow(self, frame: Frame, grey: Image, face: FoundFace, same: _Track | None) -> None:
        track = same
        if track is None:
            if self._tracks or self._memory.tracks:
                self._memory.note_new(frame.time_s)
            self._numbers = 1 if self._settings.one_person else self._numbers + 1
            track = _Track(self._numbers, FaceFollower(self._contract))
        self._memory.forget(track)
        if track in self._posters:
            self._posters.remove(track)
        track.turned, track.missed_looks = self._validity.is_turned(face.turn), 0
        track.follower.place(frame.image, grey, face, frame.time_s, track.turned)
        track.upside_down = self._detector.is_upside_down(frame.image, face.landmarks)
        self._tracks.append(track)

    def _order(self) -> None:
        """Larger faces come first; two of similar size keep their places."""
        if self._settings.face_at is not None:
            return
        tracks = self._tracks
        for later in range(1, len(tracks)):
            if tracks[later].follower.iod_px > self._settings.larger_share * tracks[later - 1].follower.iod_px:
                tracks[later - 1], tracks[later] = tracks[later], tracks[later - 1]


def _different(faces: Sequence[FoundFace]) -> list[FoundFace]:
    """Without those that Face Mesh found twice; the larger one stays."""
    kept: list[FoundFace] = []
    for face in faces:
        if all(np.hypot(*(face.eyes - other.eyes).T).max() > 0.3 * other.iod_px for other in kept):
            kept.append(face)
    return kept


def _is_near(track: _Track, faces: Sequence[FoundFace], reach_iod: float) -> bool:
    return any(track.follower.distance_iod(face) <= reach_iod for face in faces)


def _overlapping(outlines: Sequence[NDArray[np.float32]]) -> set[int]:
    """Numbers of the outlines (n, 2) that intersect another one."""
    found: set[int] = set()
    for first, second in combinations(range(len(outlines)), 2):
        if _intersect(outlines[first], outlines[second]):
            found |= {first, second}
    return found


def _holds(outline: NDArray[np.float32], point_px: tuple[float, float]) -> bool:
    return cv2.pointPolygonTest(cv2.convexHull(outline), point_px, False) >= 0


def _intersect(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    apart = (first.min(axis=0) > second.max(axis=0)) | (second.min(axis=0) > first.max(axis=0))
    if apart.any():
        return False
    return cv2.intersectConvexConvex(cv2.convexHull(first), cv2.convexHull(second))[0] > 0.0

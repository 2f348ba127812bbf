"""The faces of a video: found by Face Mesh, followed by motion, each under a number of its own.

Face Mesh is needed to start, when a face breaks off, and now and then: to see that a face is still where it is followed,
and whether somebody new is there. Two faces that overlap in the picture both end, and get new numbers when they are
apart again, since nobody can say which of them is which.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from model.types import FaceCrop, Frame, Image, Status
from stream.face.follower import FaceFollower, FoundFace
from stream.face.landmarks import FaceMeshDetector
from stream.face.light import LightFault
from stream.face.quality import ValiditySettings

_OTHERS = 3
"""Faces that are looked for besides those that are followed."""

_UPRIGHT_LOOKS = 2


@dataclass(frozen=True)
class TrackerSettings:
    """`max_faces`: so many are followed at once.

    Face Mesh looks every `check_every_s` while all faces that may be are followed, every `search_every_s` while there
    are fewer or one is turned away (at every frame while there are none). A face is the one followed when its eyes are within
    `same_place_iod`, and the one just lost when it also looks like it (`same_likeness`: of different people 1 in 100
    aligned pairs of photos is so alike). `apart_s`: after faces overlapped, one alone must be seen for so long.
    A face `larger_share` times as large as another comes before it.

    `face_at`: where in the picture the one to follow is, x and y, in pixels, or as shares when neither is above 1; it is
    followed whatever its size, and even if it never moves. Others come after it, in the order in which they are found.
    """

    max_faces: int = 1
    check_every_s: float = 1.0
    search_every_s: float = 0.5
    same_place_iod: float = 0.5
    same_likeness: float = 0.8
    apart_s: float = 0.5
    larger_share: float = 1.3
    face_at: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.max_faces < 1:
            raise ValueError(f"max_faces: expected 1 or more, found {self.max_faces}")
        if self.face_at is not None and not all(0 <= place < np.inf for place in self.face_at):
            raise ValueError(f"face_at: expected x and y of 0 or more, found {self.face_at}")


@dataclass(frozen=True, eq=False)
class SeenFace:
    """A followed face in one frame; `turned` away when Face Mesh looked last, `iod_px` in image pixels.

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


@dataclass(frozen=True, eq=False)
class SeenFaces:
    """The faces of a frame, largest first; `absence` says why there is none."""

    faces: tuple[SeenFace, ...]
    absence: Status


class _Track:
    """A followed face, its number and whether it was turned away, or upside down, when Face Mesh last looked."""

    def __init__(self, number: int, follower: FaceFollower, turned: bool, upside_down: bool) -> None:
        self.number, self.follower, self.turned, self.upside_down = number, follower, turned, upside_down
        self.upright_looks = 0

    def judge_upside_down(self, seems_so: bool) -> None:
        """It takes two looks after each other to be the right way up again."""
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
        self._numbers = 0
        self.reset()

    def reset(self) -> None:
        self._tracks: list[_Track] = []
        # Posters that were lost from sight.
        self._posters: deque[_Track] = deque(maxlen=_OTHERS)
        self._looked_s = -np.inf
        self._overlap_s = -np.inf

    def close(self) -> None:
        self._detector.close()

    def step(self, frame: Frame) -> SeenFaces:
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        before = len(self._tracks)
        followed = [track.follower.step(frame.image, grey, frame.time_s) for track in self._tracks]
        lost = [track for track, found in zip(self._tracks, followed, strict=True) if not found]
        self._keep([track for track, found in zip(self._tracks, followed, strict=True) if found])
        self._end_overlapping(frame.time_s)
        absence: Status = "tracking_lost" if before else "no_face"
        if lost or self._is_time(frame.time_s):
            absence = self._look(frame, grey, lost) or absence
        self._order()
        # What does not live is said only where nobody does.
        shown = sorted(self._tracks, key=self._is_poster)[: self._settings.max_faces]
        return SeenFaces(tuple(track.seen(self._is_poster(track)) for track in shown), absence)

    def _is_poster(self, track: _Track) -> bool:
        return self._settings.face_at is None and not track.follower.life.alive

    def _wanted(self) -> list[_Track]:
        """The followed faces that are people. Posters are followed too, to know them, but take nobody's place."""
        return [track for track in self._tracks if not self._is_poster(track)]

    def _is_time(self, time_s: float) -> bool:
        full = len(self._wanted()) >= self._settings.max_faces
        if not self._tracks or (self._waiting(time_s) and not full):
            return True
        settled = full and not any(track.turned for track in self._tracks)
        every_s = self._settings.check_every_s if settled else self._settings.search_every_s
        return time_s - self._looked_s >= every_s

    def _waiting(self, time_s: float) -> bool:
        """Whether faces overlapped a moment ago, so that one alone may hide another."""
        return time_s - self._overlap_s < self._settings.apart_s

    def _end_overlapping(self, time_s: float) -> None:
        ended = _overlapping([track.outline for track in self._tracks])
        if ended:
            self._overlap_s = time_s
            self._keep([track for number, track in enumerate(self._tracks) if number not in ended])

    def _keep(self, kept: list[_Track]) -> None:
        """Ends all other tracks; what was found to be a poster is known again."""
        self._posters.extend(track for track in self._tracks if track not in kept and self._is_poster(track))
        self._tracks = kept

    def _look(self, frame: Frame, grey: Image, lost: Sequence[_Track]) -> Status | None:
        """Face Mesh looks again: followed faces are confirmed or ended, new ones followed. Why a new one is not."""
        self._looked_s = frame.time_s
        found = _different([FoundFace.of(points) for points in self._detector.detect_with_depth(frame.image)])
        overlapping = _overlapping([face.outline for face in found])
        if overlapping:
            self._overlap_s = frame.time_s
        free = self._confirm(frame, grey, [face for n, face in enumerate(found) if n not in overlapping])
        if self._waiting(frame.time_s) and len(free) < 2:
            return "tracking_lost"
        point = self._settings.face_at
        if point is not None:
            height, width = frame.image.shape[:2]
            x_px, y_px = (point[0] * width, point[1] * height) if max(point) <= 1 else point
            free.sort(key=lambda face: float(np.hypot(*(face.outline.mean(axis=0) - (x_px, y_px)))))
            self._make_room_for_meant(free, (x_px, y_px))
        before = [(face, self._followed_before(frame, face, lost)) for face in free]
        if point is None:
            self._make_room([face for face, same in before if same is None or not self._is_poster(same)])
        for face, same in before:
            if face.iod_px < self._validity.min_iod_px:
                return "face_too_small"
            if len(self._wanted()) < self._settings.max_faces or (same is not None and self._is_poster(same)):
                self._follow(frame, grey, face, same)
        return None

    def _confirm(self, frame: Frame, grey: Image, found: Sequence[FoundFace]) -> list[FoundFace]:
        """Ends followed faces that are not among the found ones; the found ones that are not followed, largest first."""
        free = list(found)
        kept: list[_Track] = []
        for track in self._tracks:
            face = min(free, key=track.follower.distance_iod, default=None)
            if face is None or track.follower.distance_iod(face) > self._settings.same_place_iod:
                continue
            free.remove(face)
            kept.append(track)
            was_turned, track.turned = track.turned, self._validity.is_turned(face.turn)
            # What was placed on a turned face has not the right size.
            placed = track.follower.drifted(face) or (was_turned and not track.turned)
            if placed:
                track.follower.place(frame.image, grey, face, frame.time_s)
            if placed or track.upside_down:
                track.judge_upside_down(self._detector.is_upside_down(frame.image, face.landmarks))
        self._keep(kept)
        return free

    def _make_room(self, others: Sequence[FoundFace]) -> None:
        """Ends the smallest face when a clearly larger one could be followed instead."""
        wanted = self._wanted()
        if len(wanted) < self._settings.max_faces or not others:
            return
        smallest = min(wanted, key=lambda track: track.follower.iod_px)
        if max(face.iod_px for face in others) > self._settings.larger_share * smallest.follower.iod_px:
            self._tracks.remove(smallest)

    def _make_room_for_meant(self, others: Sequence[FoundFace], point_px: tuple[float, float]) -> None:
        """Ends a face when another one is where the one to follow is, and none of those that are followed."""
        full = len(self._tracks) >= self._settings.max_faces
        there = any(_holds(track.outline, point_px) for track in self._tracks)
        if full and not there and any(_holds(face.outline, point_px) for face in others):
            self._tracks.pop()

    def _followed_before(self, frame: Frame, face: FoundFace, lost: Sequence[_Track]) -> _Track | None:
        """The lost face, or poster, that a found one is again."""
        same: _Track | None = None
        for track in (*self._posters, *lost):
            near = track.follower.distance_iod(face) <= self._settings.same_place_iod
            if near and track.follower.likeness(frame.image, face) >= self._settings.same_likeness:
                same = track
        return same

    def _follow(self, frame: Frame, grey: Image, face: FoundFace, same: _Track | None) -> None:
        if same is None:
            self._numbers += 1
            number, follower = self._numbers, FaceFollower(self._contract)
        else:
            number = same.number
            follower = FaceFollower(self._contract, light=same.follower.light, life=same.follower.life)
            if same in self._posters:
                self._posters.remove(same)
        follower.place(frame.image, grey, face, frame.time_s)
        upside_down = self._detector.is_upside_down(frame.image, face.landmarks)
        self._tracks.append(_Track(number, follower, self._validity.is_turned(face.turn), upside_down))

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

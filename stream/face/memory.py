"""Faces that were lost from sight, and whether a face that is found is one of them again.

A quick turn of the head, a hand before the face or a look away break a track off, but the person is still there. Who comes
back is known by place, size and looks. Two people must never share a number: where others were about, or the looks leave a
doubt, a face is nobody's until it is clear whose it is, and somebody new in the end.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from model.contract import CropGeometry
from model.preprocess import Matrix, crop_face
from model.types import Image
from stream.face.follower import FaceFollower, FoundFace
from stream.face.likeness import Looks, continuity


@dataclass(frozen=True)
class MemorySettings:
    """Faces lost from sight are remembered for `remember_s`, `most` of them.

    One comes back within `reach_iod` of where it was, in distances between its eyes, larger or smaller by up to `growth`.
    `alike`: what looks so much like it is the same person where others were about in that time, `alike_alone`: where there
    was nobody else. Of 50 people in videos and photos (2662 pairs, a picture every sixth of a second) no two are alike by
    more than .791 at any moment, 99 % of the pairs by less than .64; by the patterns alone, as in grey pictures, .81. Those
    who act and turn come to .78 and more with what they were seconds before, within a second; one, who pulls faces, to .70.

    `unbroken`: for up to `unbroken_s` the pictures of it, or of its place, have followed on each other so closely
    (`stream.face.likeness.continuity`) that nobody else can have come there, if it is not `unlike` on top of that.
    `doubt_s`: so long it is open whether a face is one that was lost; `doubt_unlike_s` where it is unlike all that time
    without being turned away.
    """

    remember_s: float = 10.0
    most: int = 4
    reach_iod: float = 2.0
    growth: float = 2.0
    alike: float = 0.86
    alike_alone: float = 0.82
    unlike: float = 0.3
    unbroken: float = 0.84
    unbroken_s: float = 0.5
    doubt_s: float = 3.0
    doubt_unlike_s: float = 0.4

    def __post_init__(self) -> None:
        for name in ("remember_s", "most", "reach_iod"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected more than 0, found {getattr(self, name)}")


class Followed(Protocol):
    """What is remembered: a face with a number."""

    number: int
    follower: FaceFollower


Track = TypeVar("Track", bound=Followed)


class _Lost(Generic[Track]):
    def __init__(self, track: Track, time_s: float) -> None:
        self.track, self.lost_s = track, time_s
        # Where it was last, or what may be it, and the least continuity of that since then.
        self.transform = track.follower.crop.transform
        self.continuity = 1.0
        self.watched = False
        # Since when a face that may be it has been seen, and how like it that was at most.
        self.doubted_s: float | None = None
        self.most_alike = -1.0


class FaceMemory(Generic[Track]):
    """`step` for every frame; `lose` what is out of sight, then `whose` for a face that was found."""

    def __init__(self, geometry: CropGeometry, settings: MemorySettings | None = None) -> None:
        self._geometry = geometry
        self._settings = settings or MemorySettings()
        self.reset()

    def reset(self) -> None:
        self._lost: list[_Lost[Track]] = []
        self._before: Image | None = None
        self._now: Image | None = None
        self._now_s = -np.inf
        self._several_s = self._new_s = -np.inf

    @property
    def tracks(self) -> tuple[Track, ...]:
        return tuple(lost.track for lost in self._lost)

    def step(self, grey: Image, time_s: float) -> None:
        """The next frame, grey (height, width)."""
        for lost in self._lost:
            if not lost.watched:
                self._watch(lost, lost.transform, self._now_s)
            lost.watched = False
        self._before, self._now, self._now_s = self._now, grey, time_s
        self._lost = [lost for lost in self._lost if time_s - lost.lost_s <= self._settings.remember_s]

    def note_several(self, time_s: float) -> None:
        """Several faces are in the picture."""
        self._several_s = time_s

    def note_new(self, time_s: float) -> None:
        """Somebody new has come while others were followed or remembered."""
        self._new_s = time_s

    def lose(self, track: Track, time_s: float) -> None:
        """It was last seen in the frame before the newest one."""
        self._lost = [*self._lost, _Lost(track, time_s)][-self._settings.most :]

    def forget(self, track: Track) -> None:
        self._lost = [lost for lost in self._lost if lost.track is not track]

    def whose(self, image: Image, face: FoundFace, turned: bool, time_s: float) -> tuple[Track | None, bool]:
        """The lost face that a found one is again, None where it is none of them; and whether that is still open."""
        near = [lost for lost in self._lost if self._is_near(lost.track, face)]
        if not near:
            return None, False
        looks = near[0].track.follower.looks(image, face)
        best = max(near, key=lambda lost: lost.track.follower.known.likeness(looks))
        self._watch(best, best.track.follower.transform_of(face), time_s)
        if self._is_same(best, looks, time_s):
            return best.track, False
        if best.doubted_s is None:
            best.doubted_s = time_s
        best.most_alike = max(best.most_alike, best.track.follower.known.likeness(looks))
        return None, time_s - best.doubted_s < self._patience_s(best, turned)

    def _patience_s(self, lost: _Lost[Track], turned: bool) -> float:
        unlike = lost.most_alike < self._settings.unlike and not turned
        return self._settings.doubt_unlike_s if unlike else self._settings.doubt_s

    def _is_same(self, lost: _Lost[Track], looks: Looks, time_s: float) -> bool:
        settings = self._settings
        likeness = lost.track.follower.known.likeness(looks)
        # In a picture with one face nobody else can come before it unnoticed.
        single = time_s - self._several_s > settings.remember_s
        alone = single and len(self._lost) == 1 and time_s - self._new_s > settings.remember_s
        if likeness >= (settings.alike_alone if alone else settings.alike):
            return True
        brief = single and time_s - lost.lost_s <= settings.unbroken_s
        return brief and likeness >= settings.unlike and lost.continuity >= settings.unbroken

    def _watch(self, lost: _Lost[Track], transform: Matrix, time_s: float) -> None:
        """What may be the lost face is now at a transform from image to crop pixels."""
        if time_s - lost.lost_s <= self._settings.unbroken_s and self._before is not None and self._now is not None:
            then = [crop_face(self._before, at, self._geometry, "grey") for at in (lost.transform, transform)]
            now = crop_face(self._now, transform, self._geometry, "grey")
            lost.continuity = min(lost.continuity, max(continuity(crop, now) for crop in then))
        lost.transform, lost.watched = transform, True

    def _is_near(self, track: Track, face: FoundFace) -> bool:
        growth = face.iod_px / track.follower.iod_px
        size_fits = 1 / self._settings.growth <= growth <= self._settings.growth
        return size_fits and track.follower.distance_iod(face) <= self._settings.reach_iod

"""Faces that were lost from sight, and whether a face that is found is one of them again.

A quick turn of the head, a hand before the face or a look away break a track off, but the person is still there. Who comes
back is known by place, size and looks. Two people must never share a number: where others were about, or the looks leave a
doubt, a face is nobody's until it is clear whose it is, and somebody new in the end.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from model.contract import CropGeometry
from model.types import Image
from stream.face.follower import FaceFollower, FoundFace
from stream.face.likeness import Looks, continuity


@dataclass(frozen=True)
class MemorySettings:
    """Faces lost from sight are remembered for `remember_s`, `most` of them.

    One comes back within `reach_iod` of where it was, in distances between its eyes, larger or smaller by up to `growth`.
    `alike`: what looks so much like it is the same person where others were about in that time, `alike_alone`: where there
    was nobody else. In clips of 33 people, no two of whom are alike by more than .79 (two in the same pale light; all others
    .76), those who act and turn come to .81 and more within a second, all but one.

    `unbroken`: over up to `unbroken_s` out of sight the pictures of its place have followed on each other so closely
    (`stream.face.likeness.continuity`) that nobody else can have come there, if it is not unlike (`unlike`) on top of that.
    `doubt_s`: so long it is open whether a face is one that was lost; `doubt_unlike_s` where it is unlike all that time,
    `doubt_turned_s` where it is turned away.
    """

    remember_s: float = 10.0
    most: int = 4
    reach_iod: float = 2.0
    growth: float = 2.0
    alike: float = 0.86
    alike_alone: float = 0.82
    unlike: float = 0.3
    unbroken: float = 0.92
    unbroken_s: float = 0.5
    doubt_s: float = 1.0
    doubt_unlike_s: float = 0.4
    doubt_turned_s: float = 3.0

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
        # The least continuity of its place since then.
        self.continuity = 1.0
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
        self._several_s = -np.inf

    @property
    def tracks(self) -> tuple[Track, ...]:
        return tuple(lost.track for lost in self._lost)

    def step(self, grey: Image, time_s: float) -> None:
        """The next frame, grey (height, width)."""
        self._before, self._now = self._now, grey
        self._lost = [lost for lost in self._lost if time_s - lost.lost_s <= self._settings.remember_s]
        for lost in self._lost:
            self._watch(lost, time_s)

    def note_several(self, time_s: float) -> None:
        """More than one person is, or was, there."""
        self._several_s = time_s

    def lose(self, track: Track, time_s: float) -> None:
        """It was last seen in the frame before the newest one."""
        lost = _Lost(track, time_s)
        self._watch(lost, time_s)
        self._lost = [*self._lost, lost][-self._settings.most :]

    def forget(self, track: Track) -> None:
        self._lost = [lost for lost in self._lost if lost.track is not track]

    def whose(self, image: Image, face: FoundFace, turned: bool, time_s: float) -> tuple[Track | None, bool]:
        """The lost face that a found one is again, None where it is none of them; and whether that is still open."""
        near = [lost for lost in self._lost if self._is_near(lost.track, face)]
        if not near:
            return None, False
        looks = near[0].track.follower.looks(image, face)
        best = max(near, key=lambda lost: lost.track.follower.known.likeness(looks))
        if self._is_same(best, face, looks, time_s):
            return best.track, False
        if best.doubted_s is None:
            best.doubted_s = time_s
        best.most_alike = max(best.most_alike, best.track.follower.known.likeness(looks))
        return None, time_s - best.doubted_s < self._patience_s(best, turned)

    def _patience_s(self, lost: _Lost[Track], turned: bool) -> float:
        if turned:
            return self._settings.doubt_turned_s
        return self._settings.doubt_s if lost.most_alike >= self._settings.unlike else self._settings.doubt_unlike_s

    def _is_same(self, lost: _Lost[Track], face: FoundFace, looks: Looks, time_s: float) -> bool:
        settings = self._settings
        likeness = lost.track.follower.known.likeness(looks)
        alone = len(self._lost) == 1 and time_s - self._several_s > settings.remember_s
        if not alone:
            return likeness >= settings.alike
        if likeness >= settings.alike_alone:
            return True
        brief = time_s - lost.lost_s <= settings.unbroken_s
        return brief and likeness >= settings.unlike and self._continuity(lost, face) >= settings.unbroken

    def _continuity(self, lost: _Lost[Track], face: FoundFace) -> float:
        if self._before is None or self._now is None:
            return -1.0
        transform = lost.track.follower.transform_of(face)
        return min(lost.continuity, continuity(self._before, self._now, transform, self._geometry))

    def _watch(self, lost: _Lost[Track], time_s: float) -> None:
        if time_s - lost.lost_s > self._settings.unbroken_s or self._before is None or self._now is None:
            return
        transform = lost.track.follower.crop.transform
        lost.continuity = min(lost.continuity, continuity(self._before, self._now, transform, self._geometry))

    def _is_near(self, track: Track, face: FoundFace) -> bool:
        growth = face.iod_px / track.follower.iod_px
        size_fits = 1 / self._settings.growth <= growth <= self._settings.growth
        return size_fits and track.follower.distance_iod(face) <= self._settings.reach_iod

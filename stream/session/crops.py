"""The last seconds of every followed face: aligned crops and answers, so that an event can be shown when it is decided."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.types import Event, FaceResult, FrameResult, Image

SPAN_S = 8.0
"""An event is decided about a second after its apex; a macro-expression may last some seconds."""
_CLOSEST_S = 1 / 65
"""Of faster sources not every frame is kept: 8 s of a face are at most 520 crops, 8.5 MB."""
_MOST_OFF_S = 0.1


@dataclass(frozen=True, eq=False)
class Moment:
    """A face at one time: `crop` uint8 grey (size, size), `probabilities` of the classes, None where the model said nothing."""

    time_s: float
    crop: Image
    probabilities: dict[str, float] | None


@dataclass(frozen=True, eq=False)
class EventMoments:
    """An event with its crops at onset, apex and offset (uint8 grey), None where there is none within 0.1 s.

    `times_s` (n,) and `shares` (n,): the model's probability of the event's class around it, NaN where it said nothing.
    """

    event: Event
    onset: Image | None
    apex: Image | None
    offset: Image | None
    times_s: NDArray[np.float64]
    shares: NDArray[np.float64]


class RecentCrops:
    """Takes every result in order; `of` finds an event's moments. Faces that are gone are forgotten after `span_s`."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        if not span_s > 0:
            raise ValueError(f"span_s: expected more than 0, found {span_s}")
        self._span_s = span_s
        self.reset()

    def __len__(self) -> int:
        """Crops kept."""
        return sum(map(len, self._faces.values()))

    def reset(self) -> None:
        self._faces: dict[int, deque[Moment]] = {}

    def add(self, result: FrameResult) -> None:
        now_s = result.frame.time_s
        for face in result.faces:
            moments = self._faces.setdefault(face.track, deque())
            if moments and now_s < moments[-1].time_s:
                moments.clear()  # the clock was set anew
            if not moments or now_s - moments[-1].time_s >= _CLOSEST_S:
                moments.append(_moment(face, now_s))
        for track, moments in list(self._faces.items()):
            while moments and not 0 <= now_s - moments[0].time_s <= self._span_s:
                moments.popleft()
            if not moments:
                del self._faces[track]

    def of(self, event: Event, around_s: float = 1.0) -> EventMoments:
        moments = tuple(self._faces.get(event.track, ()))
        first_s, last_s = event.onset_s - around_s, event.offset_s + around_s
        near = [moment for moment in moments if first_s <= moment.time_s <= last_s]
        shares = [np.nan if m.probabilities is None else m.probabilities.get(event.label, np.nan) for m in near]
        times_s = np.array([moment.time_s for moment in near], np.float64)
        onset, apex, offset = (_nearest(moments, time_s) for time_s in (event.onset_s, event.apex_s, event.offset_s))
        return EventMoments(event, onset, apex, offset, times_s, np.array(shares, np.float64))


def _moment(face: FaceResult, time_s: float) -> Moment:
    crop = face.face.crop
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if crop.ndim == 3 else crop
    return Moment(time_s, grey, None if face.prediction is None else dict(face.prediction.probabilities))


def _nearest(moments: tuple[Moment, ...], time_s: float) -> Image | None:
    best = min(moments, key=lambda moment: abs(moment.time_s - time_s), default=None)
    return None if best is None or abs(best.time_s - time_s) > _MOST_OFF_S else best.crop

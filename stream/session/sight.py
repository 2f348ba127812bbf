"""For how long a micro-expression would have been noticed in a session, and how small a one; memory does not grow with it."""

from dataclasses import dataclass, field

_STEP_PX = 0.01
_MOST_STEPS = 10_000
_LONGEST_STEP_S = 1.0
"""A longer step between two frames is a gap, not time that somebody was watched."""
_MOST_FACES = 64
OTHERS = 0
"""Faces after the first ones are taken together under this number."""


@dataclass
class FaceSight:
    """Of one face: `watchable_s`, and how much of it had which smallest visible movement."""

    watchable_s: float = 0.0
    _seconds: dict[int, float] = field(default_factory=lambda: dict[int, float]())

    def add(self, step_s: float, smallest_px: float | None) -> None:
        """Time in which it was watchable."""
        self.watchable_s += step_s
        if smallest_px is not None:
            place = min(max(int(smallest_px / _STEP_PX + 1e-9), 0), _MOST_STEPS)
            self._seconds[place] = self._seconds.get(place, 0.0) + step_s

    @property
    def smallest_px(self) -> float | None:
        """The median over the watchable time, in pixels of a crop with 44 between the eyes; None where it is not known."""
        half_s, told_s = sum(self._seconds.values()) / 2, 0.0
        for place, seconds in sorted(self._seconds.items()):
            told_s += seconds
            if told_s >= half_s > 0:
                return place * _STEP_PX
        return None


class Sight:
    """Of a run, face by face, from the rows of its frames."""

    def __init__(self) -> None:
        self.faces: dict[int, FaceSight] = {}

    def add(self, track: int, step_s: float, watchable: bool, smallest_px: float | None) -> None:
        """A face in a frame that came `step_s` after the one before; 0 is no face."""
        if not track:
            return
        known = track in self.faces or len(self.faces) < _MOST_FACES
        face = self.faces.setdefault(track if known else OTHERS, FaceSight())
        if watchable and 0 < step_s <= _LONGEST_STEP_S:
            face.add(step_s, smallest_px)

    @property
    def watchable_min(self) -> float:
        """Minutes, added up over faces: false events are counted against these."""
        return sum(face.watchable_s for face in self.faces.values()) / 60


def sight_lines(sight: Sight, duration_s: float) -> list[str]:
    """A line for the run, or for each face where there are several: "watchable 7 min 12 s of 9 min; …"."""
    if not sight.faces:
        return [f"watchable 0 s of {lasting(duration_s)}: there was no face"]
    alone = len(sight.faces) == 1
    lines: list[str] = []
    for track, face in sorted(sight.faces.items(), key=lambda item: (item[0] == OTHERS, item[0])):
        whose = "" if alone else "all other faces: " if track == OTHERS else f"face {track}: "
        smallest = "" if face.smallest_px is None else f"; smallest visible movement {face.smallest_px:.2g} px"
        lines.append(f"{whose}watchable {lasting(face.watchable_s)} of {lasting(duration_s)}{smallest}")
    return lines


def lasting(time_s: float) -> str:
    """ "12 s", "7 min 12 s", "9 min", "1 h 3 min"."""
    minutes, seconds = divmod(round(time_s), 60)
    hours, left = divmod(minutes, 60)
    parts = [(hours, "h"), (left, "min"), (seconds if not hours else 0, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"

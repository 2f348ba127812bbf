"""How small a movement could be seen, and for how long: summed up in memory that does not grow with a run, and in words."""

from dataclasses import dataclass, field

_MOVEMENT_STEP_PX, _MOVEMENT_STEPS = 0.01, 2000
_LONGEST_STEP_S = 1.0
"""A longer step between two frames is a gap, not time that somebody was watched."""
_MOST_FACES = 64
_MOST_LINES = 6
OTHERS = 0
"""Faces after the first ones are taken together under this number."""


class SmallestMovements:
    """The median of any number of smallest visible movements, each for so long, to a hundredth of a pixel up to 20 px."""

    def __init__(self) -> None:
        self._seconds = [0.0] * (_MOVEMENT_STEPS + 1)

    def add(self, px: float, lasted_s: float) -> None:
        self._seconds[min(max(int(px / _MOVEMENT_STEP_PX + 1e-9), 0), _MOVEMENT_STEPS)] += lasted_s

    def median_px(self) -> float | None:
        """None without any."""
        half_s, so_far_s = sum(self._seconds) / 2, 0.0
        for place, seconds in enumerate(self._seconds):
            so_far_s += seconds
            if seconds and so_far_s >= half_s:
                return place * _MOVEMENT_STEP_PX
        return None


@dataclass
class FaceSight:
    """Of one face: `read_s`, of that `watchable_s`, and the smallest visible movements in that."""

    read_s: float = 0.0
    watchable_s: float = 0.0
    smallest: SmallestMovements = field(default_factory=SmallestMovements)

    def add(self, step_s: float, smallest_px: float | None) -> None:
        """Time in which it was watchable."""
        self.watchable_s += step_s
        if smallest_px is not None:
            self.smallest.add(smallest_px, step_s)

    @property
    def smallest_px(self) -> float | None:
        """The median over the watchable time, in pixels of a crop with 44 between the eyes; None where it is not known."""
        return self.smallest.median_px()


class Sight:
    """Of a run, face by face, from the rows of its frames."""

    def __init__(self) -> None:
        self.faces: dict[int, FaceSight] = {}

    def add(self, track: int, step_s: float, read: bool, watchable: bool, smallest_px: float | None) -> None:
        """A face in a frame that came `step_s` after the one before; 0 is no face."""
        if not track:
            return
        known = track in self.faces or len(self.faces) < _MOST_FACES
        face = self.faces.setdefault(track if known else OTHERS, FaceSight())
        if not 0 < step_s <= _LONGEST_STEP_S:
            return
        face.read_s += step_s if read else 0.0
        if watchable:
            face.add(step_s, smallest_px)

    @property
    def watchable_min(self) -> float:
        """Minutes, added up over faces: events found here are counted against these."""
        return sum(face.watchable_s for face in self.faces.values()) / 60

    @property
    def read_min(self) -> float:
        """Minutes in which a face had an answer, added up over faces: what a sensitivity means is false events in these."""
        return sum(face.read_s for face in self.faces.values()) / 60


def sight_lines(sight: Sight, duration_s: float) -> list[str]:
    """A line for the run, or for each face where there are several: "watchable 7 min 12 s of 9 min; …". Of many faces those that
    were watchable longest have a line, and one is for all others."""
    if not sight.faces:
        return [f"watchable 0 s of {span_words(duration_s)}: there was no face"]
    if len(sight.faces) == 1:
        return [_sight_words(next(iter(sight.faces.values())), duration_s)]
    followed = {track: face for track, face in sight.faces.items() if track != OTHERS}
    longest = sorted(followed, key=lambda track: (-round(followed[track].watchable_s, 1), track))[:_MOST_LINES]
    lines = [f"face {track}: {_sight_words(followed[track], duration_s)}" for track in sorted(longest)]
    others = [face for track, face in sight.faces.items() if track not in longest]
    if others:
        rest = others[0] if len(others) == 1 else FaceSight(watchable_s=sum(face.watchable_s for face in others))
        lines.append(f"all other faces: {_sight_words(rest, duration_s)}")
    return lines


def _sight_words(face: FaceSight, duration_s: float) -> str:
    smallest = "" if face.smallest_px is None else f"; smallest visible movement {face.smallest_px:.2g} px"
    return f"watchable {span_words(face.watchable_s)} of {span_words(duration_s)}{smallest}"


def span_words(span_s: float) -> str:
    """2.4 s, 54 s, 9 min, 7 min 12 s, 1 h 5 min."""
    tenths_s = round(span_s, 1)
    if tenths_s < 10:
        return f"{tenths_s:g} s"
    minutes, seconds = divmod(round(span_s), 60)
    hours, left = divmod(minutes, 60)
    parts = ((hours, "h"), (left, "min"), (0 if hours else seconds, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)

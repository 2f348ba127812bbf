"""For how long a micro-expression would have been noticed in a session, and how small a one; memory does not grow with it."""

from dataclasses import dataclass, field

from stream.sight import SmallestMovements, span_words

_LONGEST_STEP_S = 1.0
"""A longer step between two frames is a gap, not time that somebody was watched."""
_MOST_FACES = 64
OTHERS = 0
"""Faces after the first ones are taken together under this number."""


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
    """A line for the run, or for each face where there are several: "watchable 7 min 12 s of 9 min; …"."""
    if not sight.faces:
        return [f"watchable 0 s of {span_words(duration_s)}: there was no face"]
    alone = len(sight.faces) == 1
    lines: list[str] = []
    for track, face in sorted(sight.faces.items(), key=lambda item: (item[0] == OTHERS, item[0])):
        whose = "" if alone else "all other faces: " if track == OTHERS else f"face {track}: "
        smallest = "" if face.smallest_px is None else f"; smallest visible movement {face.smallest_px:.2g} px"
        lines.append(f"{whose}watchable {span_words(face.watchable_s)} of {span_words(duration_s)}{smallest}")
    return lines

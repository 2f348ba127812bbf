"""What is scored in a long video: true and found events in frames, both ends included."""

from dataclasses import dataclass

from model.types import EventKind


@dataclass(frozen=True)
class FrameEvent:
    """An event of `offset` - `onset` + 1 frames, in the dataset's own frame numbers.

    `label` is a class, None where it has none. `probability` is that of a found micro-expression, 0..1; what has none is as
    its detector decided, and counts at every sensitivity.

    Raises:
        ValueError: it ends before it begins, or the apex lies outside.
    """

    kind: EventKind
    onset: int
    offset: int
    apex: int | None = None
    label: str | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        if self.offset < self.onset:
            raise ValueError(f"expected onset <= offset, found {self.onset} and {self.offset}")
        if self.apex is not None and not self.onset <= self.apex <= self.offset:
            raise ValueError(f"expected an apex from {self.onset} to {self.offset}, found {self.apex}")

    @property
    def frames(self) -> int:
        return self.offset - self.onset + 1


@dataclass(frozen=True)
class ScoredVideo:
    """A long video's true events and what was found in it.

    `first` and `last` are the numbers of its first and last frame. `watchable_s`: so long a micro-expression of usual size would
    have been noticed in it, None where nobody said so (another program's predictions).
    """

    subject: str
    video: str
    fps: float
    first: int
    last: int
    truth: tuple[FrameEvent, ...]
    found: tuple[FrameEvent, ...]
    watchable_s: float | None = None

    @property
    def seconds(self) -> float:
        return (self.last - self.first + 1) / self.fps

    def true_events(self, kind: EventKind) -> list[FrameEvent]:
        return [event for event in self.truth if event.kind == kind]

    def found_events(self, kind: EventKind, min_probability: float = 0.0) -> list[FrameEvent]:
        """Those that count when a micro-expression must be at least so probable."""
        return [
            event
            for event in self.found
            if event.kind == kind
            and (kind == "macro" or event.probability is None or event.probability >= min_probability)
        ]

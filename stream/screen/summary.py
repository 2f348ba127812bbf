"""What a run came to: counts, events, labels, and the time of every stage."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from model.types import Event, EventKind, FrameResult
from stream.health import Percentiles, StageTimes
from stream.history import EventCounts
from stream.screen.statement import REJECTION_WORDS
from stream.sight import span_words

LATENCY = "latency"


class RunSummary:
    """Counts results; `table()` for people, `as_dict()` for scripts. Percentiles are of the last 1000 frames.

    `gaps` in the source's time are counted elsewhere.
    Labels and statuses are those of the first face in every frame, events those of all faces.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = tuple(class_names)
        self.reset()

    def reset(self) -> None:
        self.frames = 0
        self.faces = 0
        self.answers = 0
        self.gaps = 0
        self.labels: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.event_counts = EventCounts()
        self._stages = StageTimes()
        self._latency = StageTimes()

    def add(self, result: FrameResult) -> None:
        self.event_counts.add(result)
        self.frames += 1
        self.faces += result.face is not None
        self.statuses[result.status] += 1
        self._stages.add_all(result.stages_ms)
        if result.prediction is not None:
            self.answers += 1
            self.labels[result.prediction.label] += 1
            self._latency.add(LATENCY, result.latency_ms)

    def finish(self, events: Sequence[Event]) -> None:
        """The events that the end of the run decided."""
        self.event_counts.finish(events)

    def times(self) -> dict[str, Percentiles]:
        """By stage; the last entry is the latency of the frames with an answer."""
        return self._stages.percentiles() | self._latency.percentiles()

    def as_dict(self) -> dict[str, Any]:
        times = {
            stage: {"p50_ms": p.p50_ms, "p95_ms": p.p95_ms, "p99_ms": p.p99_ms, "count": p.count}
            for stage, p in self.times().items()
        }
        return {
            "frames": self.frames,
            "frames_with_face": self.faces,
            "answers": self.answers,
            "labels": {name: self.labels[name] for name in self._class_names},
            "statuses": dict(self.statuses),
            "events": self.event_counts.as_dict(),
            "events_per_min": self._events_a_minute(),
            "times": times,
        }

    def table(self) -> RenderableType:
        counts = Table(
            title="Summary", title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False
        )
        counts.add_column(style="dim")
        counts.add_column(justify="right")
        counts.add_column(style="dim")
        counts.add_row("frames", str(self.frames), "")
        counts.add_row("with a face", str(self.faces), _share(self.faces, self.frames, "of the frames"))
        counts.add_row("with an answer", str(self.answers), _share(self.answers, self.frames, "of the frames"))
        for name in self._class_names:
            counts.add_row(
                Text(f"  {name}"), str(self.labels[name]), _share(self.labels[name], self.answers, "of the answers")
            )
        if self.gaps:
            counts.add_row("gaps in time", str(self.gaps), "")
        tables = [counts, *self._event_tables()]
        times = self.times()
        if not times:
            return Group(*tables)
        stages = Table(
            title="\nTime per frame, ms",
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
            header_style="dim",
        )
        stages.add_column("stage", style="dim")
        for percentile in ("p50", "p95", "p99", "frames"):
            stages.add_column(percentile, justify="right")
        for stage, p in times.items():
            stages.add_row(Text(stage), f"{p.p50_ms:.1f}", f"{p.p95_ms:.1f}", f"{p.p99_ms:.1f}", str(p.count))
        return Group(*tables, stages)

    def _events_a_minute(self) -> float | None:
        """Accepted events in a watchable minute of one face; None where none was watchable."""
        return (
            self.event_counts.accepted.total() / (self.event_counts.watched_s / 60)
            if self.event_counts.watched_s
            else None
        )

    def _event_tables(self) -> list[RenderableType]:
        """Nothing where no events were looked for, or no face was there for long enough."""
        counted = self.event_counts
        watched_min = counted.watched_s / 60
        if not (watched_min or counted.calibrated_s or counted.accepted or counted.rejected):
            return []
        kinds: tuple[EventKind, ...] = get_args(EventKind)
        found = Table(
            title="\nEvents", title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim"
        )
        found.add_column("", style="dim")
        for name in (*kinds, "a watchable minute"):
            found.add_column(name, justify="right")
        totals = [sum(count for (kind, _), count in counted.accepted.items() if kind == wanted) for wanted in kinds]
        for name in self._class_names:
            numbers = [counted.accepted[kind, name] for kind in kinds]
            if any(numbers):
                found.add_row(Text(f"  {name}"), *map(str, numbers), _a_minute(sum(numbers), watched_min))
        found.add_row("all", *map(str, totals), _a_minute(sum(totals), watched_min))
        reasons = Table(show_header=False, box=None, pad_edge=False)
        reasons.add_column(style="dim")
        reasons.add_column(justify="right")
        reasons.add_row("watchable", f"{span_words(counted.watched_s)} of {span_words(counted.whole_s)}")
        if (smallest_px := counted.smallest.median_px()) is not None:
            reasons.add_row("smallest visible movement", f"{smallest_px:.1f} px (median)")
        for reason, count in counted.rejected.most_common():
            reasons.add_row(f"  rejected: {REJECTION_WORDS[reason]}", str(count))
        return [found, reasons]


def _a_minute(count: int, minutes: float) -> str:
    return f"{count / minutes:.1f}" if minutes else ""


def _share(part: int, whole: int, what: str) -> str:
    return f"{100 * part / whole:.0f} % {what}" if whole else ""

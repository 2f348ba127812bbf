"""What a run came to: counts, labels, and the time of every stage."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from model.types import FrameResult
from stream.timing import Percentiles, StageTimes

LATENCY = "latency"


class RunSummary:
    """Counts results; `table()` for people, `as_dict()` for scripts. Percentiles are of the last 1000 frames."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = tuple(class_names)
        self.reset()

    def reset(self) -> None:
        self.frames = 0
        self.faces = 0
        self.answers = 0
        self.labels: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self._stages = StageTimes()
        self._latency = StageTimes()

    def add(self, result: FrameResult) -> None:
        self.frames += 1
        self.faces += result.face is not None
        self.statuses[result.status] += 1
        self._stages.add_all(result.stages_ms)
        if result.prediction is not None:
            self.answers += 1
            self.labels[result.prediction.label] += 1
            self._latency.add(LATENCY, result.latency_ms)

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
        times = self.times()
        if not times:
            return counts
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
        return Group(counts, stages)


def _share(part: int, whole: int, what: str) -> str:
    return f"{100 * part / whole:.0f} % {what}" if whole else ""

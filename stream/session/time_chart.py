"""The time line of a session in the coordinates of its drawing."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from model.contract import NEUTRAL
from stream.screen.statement import REJECTION_WORDS, STATUS_WORDS
from stream.sensitivity import UNLIKELY
from stream.session.frame_rows import Bucket, RowSummary

WIDTH, CHART, SIGHT, LANE, GAP = 1000.0, 160.0, 36.0, 16.0, 10.0
_Kind = TypeVar("_Kind")
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
_MOST_TICKS = 8
_REJECTED_WIDTH = 4.0
_LEAST_WIDTH = 2.5
_GAP_S = 1.0
_SHADED_S = 600.0
"""In longer runs events are thinner than a line."""


@dataclass(frozen=True)
class ChartMark:
    """A rectangle with a tooltip. `style` names its colour. It is shown from one step of the sensitivity on, or until the one
    before `until`, None for ever."""

    x: float
    width: float
    style: str
    words: str
    anchor: str = ""
    first: int = 0
    until: int | None = None


@dataclass(frozen=True)
class TimeChart:
    """`lines`: style and points of every class's probability; `statuses`, `events` and `rejected`: three lanes; `marks`
    of an experiment go through all of them; `outages` of the source lie in that of the statuses. `shaded`: events go through the chart too.
    `blind`: what was not watchable; `sight`: points of the smallest visible movement, from 0 to `sight_px` at the top of its strip."""

    step_s: float
    shaded: bool
    lines: tuple[tuple[str, str], ...]
    statuses: tuple[ChartMark, ...]
    events: tuple[ChartMark, ...]
    rejected: tuple[ChartMark, ...]
    marks: tuple[ChartMark, ...]
    outages: tuple[ChartMark, ...]
    ticks: tuple[tuple[float, str], ...]
    blind: tuple[ChartMark, ...] = ()
    sight: tuple[str, ...] = ()
    sight_px: float = 0.0


class Scale:
    """Seconds of the source's clock → x."""

    def __init__(self, first_s: float, last_s: float) -> None:
        self.first_s, self.last_s = first_s, max(last_s, first_s + 1e-3)

    def x(self, time_s: float) -> float:
        share = (time_s - self.first_s) / (self.last_s - self.first_s)
        return round(WIDTH * min(max(share, 0.0), 1.0), 2)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        span_s = self.last_s - self.first_s
        step_s = next((s for s in _TICKS_S if span_s / s <= _MOST_TICKS), _TICKS_S[-1])
        first = int(-(-self.first_s // step_s))
        last = int(self.last_s // step_s)
        return tuple((self.x(n * step_s), clock(n * step_s)) for n in range(first, last + 1))


def class_styles(class_names: Sequence[str]) -> dict[str, str]:
    """A style for each class, by order; `neutral` has its own."""
    lively = [name for name in class_names if name != NEUTRAL]
    return {name: "neutral" if name == NEUTRAL else f"c{lively.index(name) % 7}" for name in class_names}


def timeline(
    rows: RowSummary,
    accepted: Iterable[Mapping[str, Any]],
    rejected: Iterable[Mapping[str, Any]],
    marks: Iterable[Mapping[str, Any]] = (),
    outages: Iterable[Mapping[str, Any]] = (),
) -> TimeChart:
    """Of the run's rows and its events. `accepted` have a `number`, and `first` where they count only from that step of the
    sensitivity on: until then they are among the rejected."""
    styles = class_styles(rows.class_names)
    scale = Scale(rows.first_s or 0.0, rows.last_s)
    accepted = tuple(accepted)
    highest_px = max((px for _, bucket in rows.buckets.items() if (px := bucket.smallest_px) is not None), default=0.0)
    return TimeChart(
        rows.buckets.step_s,
        rows.duration_s <= _SHADED_S,
        tuple(_lines(rows, styles, scale)),
        tuple(_statuses(rows, scale)),
        tuple(_accepted(event, styles, scale) for event in accepted),
        tuple(_rejected((*rejected, *(event for event in accepted if event.get("first"))), scale)),
        tuple(ChartMark(scale.x(m["time_s"]), 1.0, "mark", f"{m['mark']}, at {m['time_s']:.2f} s") for m in marks),
        tuple(_outage(outage, scale) for outage in outages),
        scale.ticks(),
        tuple(_blind(rows, scale)),
        tuple(_sight(rows, scale, highest_px)),
        highest_px,
    )


def clock(time_s: float) -> str:
    """ "12.5 s" under two minutes, "1:02:03" beyond."""
    if abs(time_s) < 120:
        return f"{round(time_s, 1):g} s"
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _lines(rows: RowSummary, styles: Mapping[str, str], scale: Scale) -> Iterable[tuple[str, str]]:
    """Stretches with answers, of every class but neutral: what is left to 1 is neutral's."""
    for place, (name, style) in enumerate(styles.items()):
        if style == "neutral":
            continue
        points: list[str] = []
        for time_s, bucket in rows.buckets.items():
            share = bucket.highest[place]
            if share >= 0:
                points.append(f"{scale.x(time_s):g},{CHART * (1 - share):.1f}")
            elif points:
                yield styles[name], " ".join(points)
                points = []
        if points:
            yield styles[name], " ".join(points)


def _statuses(rows: RowSummary, scale: Scale) -> Iterable[ChartMark]:
    """What most frames of a stretch had."""
    for status, first_s, last_s in _stretches(rows, lambda bucket: bucket.statuses.most_common(1)[0][0]):
        yield _status_mark((status, first_s, last_s), scale)


def _stretches(rows: RowSummary, of: Callable[[Bucket], _Kind]) -> Iterable[tuple[_Kind, float, float]]:
    """What holds of neighbours in the time line, from when to when; neighbours that are alike are one stretch."""
    half_s = rows.buckets.step_s / 2
    run: tuple[_Kind, float, float] | None = None
    for time_s, bucket in rows.buckets.items():
        value, begin_s = of(bucket), time_s - half_s
        if run is not None:
            # Without frames for long there is nothing to show.
            end_s = begin_s if begin_s - run[2] <= _GAP_S else run[2]
            if run[0] == value and end_s == begin_s:
                run = (value, run[1], time_s + half_s)
                continue
            yield run[0], run[1], end_s
        run = (value, begin_s, time_s + half_s)
    if run is not None:
        yield run


def _status_mark(run: tuple[str, float, float], scale: Scale) -> ChartMark:
    status, first_s, last_s = run
    words = next((words for known, (words, _) in STATUS_WORDS.items() if known == status), status)
    style = status if status in ("ok", "filling", "no_face") else "trouble"
    x = scale.x(first_s)
    return ChartMark(x, max(scale.x(last_s) - x, 0.5), style, f"{words}, {clock(first_s)} to {clock(last_s)}")


def _outage(outage: Mapping[str, Any], scale: Scale) -> ChartMark:
    began_s = float(outage["began_s"])
    ended_s = scale.last_s if outage.get("ended_s") is None else float(outage["ended_s"])
    x = scale.x(began_s)
    words = f"source away, {clock(began_s)} to {clock(ended_s)}: {outage.get('reason', '')}"
    return ChartMark(x, max(scale.x(ended_s) - x, _LEAST_WIDTH), "away", words)


def _blind(rows: RowSummary, scale: Scale) -> Iterable[ChartMark]:
    """Stretches in most frames of which nothing would have been noticed; nothing where the rows do not say."""
    if rows.sight is None:
        return
    for blind, first_s, last_s in _stretches(rows, lambda bucket: bucket.watchable <= bucket.statuses.total() / 2):
        if blind:
            x = scale.x(first_s)
            words = f"not watchable, {clock(first_s)} to {clock(last_s)}: nothing found here says nothing"
            yield ChartMark(x, max(scale.x(last_s) - x, 0.5), "blind", words)


def _sight(rows: RowSummary, scale: Scale, highest_px: float) -> Iterable[str]:
    """The line of the smallest visible movement, in stretches where there is one; 0 is at the bottom of its strip."""
    points: list[str] = []
    for time_s, bucket in rows.buckets.items():
        if bucket.smallest_px is not None and highest_px > 0:
            points.append(f"{scale.x(time_s):g},{SIGHT * (1 - bucket.smallest_px / highest_px):.1f}")
        elif points:
            yield " ".join(points)
            points = []
    if points:
        yield " ".join(points)


def _accepted(event: Mapping[str, Any], styles: Mapping[str, str], scale: Scale) -> ChartMark:
    x = scale.x(event["onset_s"])
    likely = f", probability {event['probability']:.2f}" if event.get("probability") is not None else ""
    words = f"{event['number']}: {event['label']}, {event['kind']}, at {event['apex_s']:.2f} s, confidence {100 * event['confidence']:.0f} %{likely}, face {event['track']}"
    width = max(scale.x(event["offset_s"]) - x, _LEAST_WIDTH)
    style, anchor = styles.get(event["label"], "neutral"), f"event-{event['number']}"
    return ChartMark(x, width, style, words, anchor, event.get("first", 0))


def _rejected(events: Iterable[Mapping[str, Any]], scale: Scale) -> Iterable[ChartMark]:
    """Those that lie close together in one mark, by the step until which they are rejected: a long run has thousands."""
    by_place: dict[tuple[int, int | None], Counter[str]] = {}
    for event in events:
        place = int(scale.x(event["apex_s"]) / _REJECTED_WIDTH)
        by_place.setdefault((place, event.get("first")), Counter())[event.get("rejected", UNLIKELY)] += 1
    for (place, until), reasons in sorted(by_place.items(), key=lambda item: item[0][0]):
        words = ", ".join(f"{count} {rejection(reason)}" for reason, count in reasons.most_common())
        x, width = place * _REJECTED_WIDTH, _REJECTED_WIDTH - 1
        yield ChartMark(x, width, "rejected", f"rejected: {words}", until=until)


def rejection(reason: str) -> str:
    return next((words for known, words in REJECTION_WORDS.items() if known == reason), reason)

"""What a spotting run says: pictures of what was there and what was found, of misses traded for false events, and tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from rich.console import Console

from model.decision import DEFAULT_SENSITIVITY
from model.types import Event
from train.charts import write_png
from train.scores.literature import SPOTTING, SPOTTING_CAUTION
from train.spotting.curves import RATES_PER_MIN
from train.spotting.match import SpottedVideo, TimeInterval, match
from train.spotting.watch import VideoLine
from train.text_table import TextTable

_LEAST_RATE, _MOST_RATE = 0.05, 60.0
"""False events a minute at the edges of the chart; fewer, and a default that has more, are drawn there."""
_LEGEND_IN = 1.8
"""A column of the timelines' legend."""
_COLOURS = ("#d62728", "#2ca02c", "#1f77b4", "#9467bd", "#ff7f0e", "#17becf")
_MARKERS = "xov^<>sDp*hP"
# Bands from top to bottom: what is true, what was found, what was rejected, and the trace. Bottom and height.
_TRUTH, _FOUND, _REJECTED, _TRACE = (2.15, 0.75), (1.3, 0.75), (1.0, 0.3), (0.0, 0.95)


def draw_timelines(timelines: Sequence[VideoLine], class_names: Sequence[str], path: Path) -> None:
    """A row a video, each as wide as the picture: true events above, found ones below (hits full, false ones hollow),
    marks of rejected candidates, and how sure the model was of an expression. As PNG."""
    longest_s = max(timeline.video.duration_s for timeline in timelines)
    width_in = min(6 + longest_s / 8, 28)
    figure = Figure(figsize=(width_in, 0.9 + 1.5 * len(timelines)), layout="constrained")
    rows = figure.subplots(len(timelines), 1, squeeze=False)[:, 0]
    colours: dict[str, str] = dict(zip(class_names, _COLOURS, strict=False))
    reasons = sorted({str(event.rejected) for timeline in timelines for event in timeline.video.rejected()})
    markers: dict[str, str] = dict(zip(reasons, _MARKERS * 2, strict=False))
    for ax, timeline in zip(rows, timelines, strict=True):
        _draw_row(ax, timeline, colours, markers)
        ax.set_xlim(0, timeline.video.duration_s)
    rows[-1].set_xlabel("seconds")
    columns = max(3, int(width_in / _LEGEND_IN))
    figure.legend(
        handles=_legend(colours, markers), loc="outside upper center", ncols=columns, fontsize=8, frameon=False
    )
    write_png(figure, path, 110)


def _draw_row(ax: Axes, timeline: VideoLine, colours: dict[str, str], markers: dict[str, str]) -> None:
    video = timeline.video
    for distraction in timeline.distractions:
        if distraction.kind == "talk":
            ax.axvspan(distraction.start_s, distraction.end_s, color="0.9", linewidth=0)
        elif distraction.kind == "blink":
            ax.plot([distraction.start_s] * 2, [2.92, 3.02], color="0.55", linewidth=0.8)
    for event in video.truth:
        _bar(ax, event, _TRUTH, colours, hollow=False)
    found = [event for event in video.found if event.rejected is None]
    hits = {id(event) for event in _hits(video)}
    for event in found:
        _bar(ax, event, _FOUND, colours, hollow=id(event) not in hits)
    for event in video.rejected():
        middle = _REJECTED[0] + _REJECTED[1] / 2
        ax.plot(event.apex_s, middle, markers[str(event.rejected)], color="0.35", markersize=4, fillstyle="none")
    if len(timeline.times_s):
        ax.plot(timeline.times_s, _TRACE[1] * timeline.trace, color="0.3", linewidth=0.6)
    for bottom, _ in (_TRUTH, _FOUND, _REJECTED):
        ax.axhline(bottom, color="0.85", linewidth=0.5, zorder=0)
    centres = [bottom + height / 2 for bottom, height in (_TRUTH, _FOUND, _REJECTED, _TRACE)]
    ax.set_yticks(centres, ["true", "found", "rejected", "answer"], fontsize=7)
    ax.set_ylim(0, 3.05)
    ax.set_title(video.name, loc="left", fontsize=8, pad=2)


def _hits(video: SpottedVideo) -> list[Event]:
    hits: list[Event] = []
    for kind in ("micro", "macro"):
        found = video.found_events(kind)
        hits += [found[f] for _, f in match(video.true_events(kind), found)]
    return hits


def _bar(ax: Axes, event: TimeInterval, band: tuple[float, float], colours: dict[str, str], hollow: bool) -> None:
    colour = colours.get(event.label, "0.5")
    micro = event.kind == "micro"
    bottom, height = band if micro else (band[0], band[1] / 2)
    ax.bar(
        event.onset_s, height, event.offset_s - event.onset_s, bottom, align="edge", linewidth=1.0, edgecolor=colour,
        facecolor="none" if hollow else colour, alpha=1.0 if micro else 0.45,
    )  # fmt: skip


def _legend(colours: dict[str, str], markers: dict[str, str]) -> list[Any]:
    handles: list[Any] = [Patch(color=colour, label=name) for name, colour in colours.items()]
    handles.append(Patch(facecolor="0.5", alpha=0.45, label="half height: macro"))
    handles.append(Patch(facecolor="none", edgecolor="0.3", label="hollow: false"))
    handles.append(Patch(color="0.9", label="talking"))
    handles.append(Line2D([], [], color="0.55", marker="|", linestyle="none", label="blink"))
    handles += [
        Line2D([], [], color="0.35", marker=marker, linestyle="none", fillstyle="none", markersize=4, label=f"rejected: {reason}")
        for reason, marker in markers.items()
    ]  # fmt: skip
    return handles


def draw_curves(groups: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Recall over false events a watchable minute, a line for each kind of videos (`train.spotting.event_scores.score_group`),
    and a mark where the live program stands on it by default. As PNG."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.subplots()
    for number, (name, group) in enumerate(groups.items()):
        label = f"{name} (n = {group['n']}, {group['watchable_minutes']:.1f} watchable minutes)"
        known = [point for point in group["curve"] if point["false_per_min"] is not None]
        # On a logarithmic axis there is no none at all.
        rates = [max(point["false_per_min"], _LEAST_RATE) for point in known]
        ax.plot(rates, [point["recall"] for point in known], "-", color=f"C{number}", linewidth=1.5, label=label)
        if group["false_per_min"] is not None:
            ax.plot(
                max(group["false_per_min"], _LEAST_RATE),
                group["recall"],
                "o",
                color=f"C{number}",
                markersize=7,
                clip_on=False,
            )
    ax.plot([], [], "o", color="0.4", label=f"default sensitivity ({DEFAULT_SENSITIVITY:g} false events a minute)")
    ax.set(xscale="log", ylim=(0, 1))
    ax.set_xlim(_LEAST_RATE, _MOST_RATE)
    ax.set(xlabel="false events a watchable minute", ylabel="recall (IoU ≥ 0.5)")
    ax.set_xticks(RATES_PER_MIN, [f"{rate:g}" for rate in RATES_PER_MIN])
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="lower right")
    write_png(figure, path, 110)


def print_scores(scores: Mapping[str, Any], console: Console) -> None:
    """The output of `train.spotting.event_scores.score`."""
    micro = scores["micro"]
    rows = [
        (
            name,
            str(counts["tp"] + counts["fn"]),
            str(counts["tp"] + counts["fp"]),
            str(counts["tp"]),
            *(f"{counts[key]:.3f}" for key in ("precision", "recall", "f1")),
        )
        for name, counts in (
            ("found where they are", micro["localised"]),
            ("and with their class", micro["with_class"]),
            *micro["per_class"].items(),
            ("macro-expressions", scores["macro"]["localised"]),
        )
    ]
    title = (
        f"{micro['n']} micro-expressions in {scores['minutes']:.1f} minutes of made video, "
        f"{scores['watchable_minutes']:.1f} of them watchable (IoU ≥ 0.5)"
    )
    console.print(TextTable(title, ("", "true", "found", "hits", "precision", "recall", "F1"), rows).shown())

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    chance, right = scores["chance"], micro["right_class"]
    say(f"by chance: F1 {chance['f1']:.3f}, with the class {chance['f1_with_class']:.3f} (same events at other times)")
    say(
        f"false events: {rate_text(micro['false_per_min'])} a watchable minute, "
        f"{scores['micro_found_in_macro']} in all within macro-expressions"
    )
    say(f"right class: {right['share']:.3f} of {right['n']} hits")
    sizes = (f"{name}: {row['recall']:.2f} (n = {row['n']})" for name, row in scores["recall_by_peak"].items())
    say(f"recall by size: {', '.join(sizes)}")
    hits = [
        (name, *(f"{row[key]:.0f}" for key in ("median_ms", "p95_ms", "bias_ms")))
        for name, row in micro["timing"].items()
        if row
    ]
    if hits:
        headings = ("hits", "median", "95 %", "bias (late: +)")
        console.print(TextTable("Error in time, ms", headings, hits).shown())
    rejected = [(reason, str(row["n"]), str(row["true"])) for reason, row in scores["rejections"].items()]
    if rejected:
        headings = ("reason", "candidates", "were micro-expressions")
        console.print(TextTable("Rejected in made videos", headings, rejected).shown())
    for key, title in (("rest", "resting face"), ("quiet", "clips without annotated events")):
        if scores.get(key):
            _print_quiet(title, scores[key], console)


def print_groups(groups: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """Scores by kind of video, side by side, and what others publish."""
    kinds = list(groups.values())
    told: list[tuple[str, Sequence[str]]] = [
        ("micro-expressions", [str(kind["n"]) for kind in kinds]),
        ("people", [str(len(kind["people"])) for kind in kinds]),
        ("minutes filmed", [f"{kind['own_minutes']:.1f}" for kind in kinds]),
        ("minutes shown", [f"{kind['minutes']:.1f}" for kind in kinds]),
        ("of them watchable", [f"{kind['watchable_minutes']:.1f}" for kind in kinds]),
        ("smallest visible, px", [rate_text(kind["smallest_px"]) for kind in kinds]),
        ("recall by default", [rate_text(kind["recall"]) for kind in kinds]),
        ("false a minute by default", [rate_text(kind["false_per_min"]) for kind in kinds]),
        ("the same, clip as it is", [rate_text(kind["quiet"] and kind["quiet"]["false_per_min"]) for kind in kinds]),
        ("right class of hits", [rate_text(share["share"] if (share := kind["right_class"])["n"] else None) for kind in kinds]),
    ]  # fmt: skip
    told += [
        (f"recall at {rate:g} false a minute", [rate_text(kind["recall_at"][f"{rate:g}"]) for kind in kinds])
        for rate in RATES_PER_MIN
    ]
    note = f"Minutes of false events are watchable ones. {SPOTTING_CAUTION} {spotting_text()}"
    rows = [(name, *values) for name, values in told]
    console.print(TextTable("By kind of video", ("", *groups), rows, note).shown())


def spotting_text() -> str:
    """What is published of finding micro-expressions in long videos, in one line."""
    return "; ".join(f"{row.data}: {row.told}" for row in SPOTTING) + "."


def rate_text(value: float | None) -> str:
    """Two decimals; a dash for what is not known."""
    return "–" if value is None else f"{value:.2f}"


def _print_quiet(title: str, quiet: Mapping[str, Any], console: Console) -> None:
    console.print(
        f"{title}: {quiet['events']} false events in {quiet['minutes']:.2f} minutes, {quiet['watchable_minutes']:.2f} of them "
        f"watchable: {rate_text(quiet['false_per_min'])} a watchable minute",
        highlight=False,
        soft_wrap=True,
    )
    if len(quiet["per_video"]) > 1:
        rows = [
            (
                name,
                f"{row['seconds']:.1f}",
                f"{row['watchable_s']:.1f}",
                str(row["events"]),
                str(row["macro_events"]),
                rate_text(row["false_per_min"]),
            )
            for name, row in quiet["per_video"].items()
        ]
        headings = ("clip", "seconds", "watchable", "micro", "macro", "false a watchable minute")
        console.print(TextTable("", headings, rows).shown())

"""Spotting scores as tables on a console."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def print_scores(scores: Mapping[str, Any], console: Console) -> None:
    """The output of `train.spotting_scores.score`."""
    micro = scores["micro"]
    table = Table(title=f"{micro['n']} micro-expressions in {scores['minutes']:.1f} minutes (IoU ≥ 0.5)")
    for heading in ("", "true", "found", "hits", "precision", "recall", "F1"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, counts in (
        ("found where they are", micro["localised"]),
        ("and with their class", micro["with_class"]),
        *micro["per_class"].items(),
        ("macro-expressions", scores["macro"]["localised"]),
    ):
        table.add_row(
            name,
            str(counts["tp"] + counts["fn"]),
            str(counts["tp"] + counts["fp"]),
            str(counts["tp"]),
            *(f"{counts[key]:.3f}" for key in ("precision", "recall", "f1")),
        )
    console.print(table)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    chance, right = scores["chance"], micro["right_class"]
    say(f"by chance: F1 {chance['f1']:.3f}, with the class {chance['f1_with_class']:.3f} (same events at other times)")
    say(
        f"false events: {micro['false_per_min']:.2f} a minute, {scores['micro_found_in_macro']} in all within macro-expressions"
    )
    say(f"right class: {right['share']:.3f} of {right['n']} hits")
    sizes = (f"{name}: {row['recall']:.2f} (n = {row['n']})" for name, row in scores["recall_by_peak"].items())
    say(f"recall by size: {', '.join(sizes)}")
    _print_timing(micro["timing"], console)
    _print_rejections("Rejected in made videos", scores["rejections"], console)
    for key, title in (("rest", "resting face"), ("quiet", "clips without annotated events")):
        if scores.get(key):
            _print_quiet(title, scores[key], console)


def _print_timing(timing: Mapping[str, Any], console: Console) -> None:
    if not any(timing.values()):
        return
    table = Table("hits", title="Error in time, ms")
    for heading in ("median", "95 %", "bias (late: +)"):
        table.add_column(heading, justify="right")
    for name, row in timing.items():
        table.add_row(name, *(f"{row[key]:.0f}" for key in ("median_ms", "p95_ms", "bias_ms")))
    console.print(table)


def _print_rejections(title: str, rejections: Mapping[str, Any], console: Console) -> None:
    if not rejections:
        return
    table = Table("reason", title=title)
    table.add_column("candidates", justify="right")
    table.add_column("were micro-expressions", justify="right")
    for reason, row in rejections.items():
        table.add_row(reason, str(row["n"]), str(row["true"]))
    console.print(table)


def _print_quiet(title: str, quiet: Mapping[str, Any], console: Console) -> None:
    console.print(
        f"{title}: {quiet['events']} false events in {quiet['minutes']:.2f} minutes, {quiet['false_per_min']:.2f} a minute",
        highlight=False,
        soft_wrap=True,
    )
    if len(quiet["per_video"]) > 1:
        table = Table("clip")
        for heading in ("seconds", "micro", "macro", "false a minute"):
            table.add_column(heading, justify="right")
        for name, row in quiet["per_video"].items():
            table.add_row(
                name,
                f"{row['seconds']:.1f}",
                str(row["events"]),
                str(row["macro_events"]),
                f"{row['false_per_min']:.1f}",
            )
        console.print(table)

"""Tables for the terminal of what `loso_scores` found."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from train.loso_scores_records import COMPOSITE

_SCORES = (("UF1", "uf1"), ("UAR", "uar"), ("accuracy", "accuracy"))


def scores_table(scores: Mapping[str, Any]) -> list[Table]:
    """Pooled scores beside chance; the published scoring where there is one, marked optimistic; the classes.

    Scores are means over seeds, ± standard deviation where there is more than one seed.
    """
    parts: Mapping[str, Mapping[str, Any]] = scores["parts"]
    if len(parts) == 2:  # of one dataset, with which the composite is the same
        parts = {name: part for name, part in parts.items() if name != COMPOSITE}
    chosen = "chosen on validation people" if scores["select"] == "validation" else "the last"
    seeds = len(scores["seeds"])
    title = (
        f"Leave one subject out ({scores['scheme']}), pooled over folds\n"
        f"{scores['epochs']} {'epoch' if scores['epochs'] == 1 else 'epochs'}, {chosen} kept, "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}"
    )
    tables = [_table(title, parts, parts, _absent(parts))]
    published = {name: part["published"] for name, part in parts.items() if part["published"]}
    if published:
        one = next(iter(published.values()))
        caption = f"chance: the best of {one['chance_draws']} guesses in every fold, as many as there were epochs"
        tables.append(_table(f"Published scoring,\n{one['label']}", parts, published, caption))
    return [*tables, _classes(parts)]


def _table(title: str, parts: Mapping[str, Any], scored: Mapping[str, Any], caption: str | None) -> Table:
    table = Table("part", title=title, caption=caption)
    for heading in ("clips", "people"):
        table.add_column(heading, justify="right")
    table.add_column("score")
    for heading in ("mean", "chance"):
        table.add_column(heading, justify="right")
    for name, found in scored.items():
        who = (escape(name), str(parts[name]["n"]), str(parts[name]["people"]))
        for score, key in _SCORES:
            table.add_row(*who, score, _spread(found[key]), f"{found['chance'][key]:.3f}")
            who = ("", "", "")
        table.add_section()
    return table


def _classes(parts: Mapping[str, Any]) -> Table:
    table = Table(title="By class, pooled over folds, mean over seeds")
    for heading in ("part", "class"):
        table.add_column(heading)
    for heading in ("clips", "precision", "recall", "F1"):
        table.add_column(heading, justify="right")
    for name, part in parts.items():
        for label, found in part["per_class"].items():
            row = (f"{found[key]:.3f}" for key in ("precision", "recall", "f1"))
            table.add_row(escape(name), escape(label), str(found["n"]), *row)
        table.add_section()
    return table


def _absent(parts: Mapping[str, Any]) -> str | None:
    told = []
    for name, part in parts.items():
        absent = [label for label, found in part["per_class"].items() if found["n"] == 0]
        if absent:
            told.append(f"{name} has no clips of {', '.join(absent)}: left out of UAR, 0 in UF1")
    return escape("; ".join(told)) or None


def _spread(found: Mapping[str, Any]) -> str:
    return f"{found['mean']:.3f}" + (f" ± {found['sd']:.3f}" if found["sd"] is not None else "")

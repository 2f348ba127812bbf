"""An ablation's rows side by side: the folder of `train ablate` holds a leave-one-subject-out run a row.

While the ablation goes on there is no `ablation.json` yet, which holds the comparisons and the conclusion; the rows
that have something are shown then as they are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from model.atomic import regular_file
from model.variants import VARIANTS
from train.errors import UsageError
from train.experiments.left_out_rows import ticks_of, title_of
from train.files import parsed_json
from train.report.figures import PictureBook, draw_scores
from train.report.runs import ScoredRun, open_run
from train.report.sections import confusion_picture, score_line
from train.report.text import score_text, whole
from train.text_table import signed

ABLATION_FILE = "ablation.json"
MAIN_ROW = "paper"
LOSS_ROWS = ("weighted", "plain")
"""The rows that differ in the loss alone."""

_TEXT = (
    "Every row is trained and tested alike, on the same clips, folds and seeds; the network and its loss are all that "
    "differs."
)
_PUBLISHED = (
    "Published: Fang, Liu, Liu, MLSP 2024, on SMIC, with the epoch chosen on each left-out subject and averaged over "
    "folds; not to be compared number by number."
)


@dataclass(frozen=True)
class ShownRow:
    """A row of the ablation. Its run is None, and `lacks` says why, while it has nothing to show."""

    name: str
    parameters: int | None
    run: ScoredRun | None
    lacks: str = ""


@dataclass(frozen=True)
class Ablation:
    """The rows in their order, and what `ablation.json` concludes of them: nothing while a row is not complete."""

    rows: tuple[ShownRow, ...]
    comparisons: tuple[Mapping[str, Any], ...] = ()
    conclusion: tuple[str, ...] = ()
    command: str = ""

    @property
    def main(self) -> ScoredRun:
        """The run to show in full: the whole network's, or the last one that has something."""
        there = {row.name: row.run for row in self.rows if row.run}
        return there.get(MAIN_ROW) or list(there.values())[-1]

    @property
    def loss_runs(self) -> dict[str, ScoredRun]:
        """The runs whose losses to lay over each other, by name: weighted and plain, or the main one alone."""
        there = {row.name: row.run for row in self.rows if row.run and row.name in LOSS_ROWS}
        if len(there) < len(LOSS_ROWS):
            return {self.main.name: self.main}
        return {name: there[name] for name in LOSS_ROWS}


def is_ablation(path: Path) -> bool:
    """Whether a folder is that of an ablation, finished or not."""
    return (path / ABLATION_FILE).is_file() or any((path / name / "loso.json").is_file() for name in VARIANTS)


def open_ablation(path: Path) -> Ablation:
    """The ablation in a folder.

    Raises:
        UsageError: ablation.json is damaged, a row's run is damaged, or no row has a finished fold.
    """
    told = _told(path / ABLATION_FILE) if (path / ABLATION_FILE).is_file() else None
    wanted = {row["name"]: row["parameters"] for row in told["rows"]} if told else dict.fromkeys(VARIANTS)
    rows = tuple(_opened(path, name, parameters) for name, parameters in wanted.items())
    if not any(row.run for row in rows):
        raise UsageError(f"{path}: expected a row with a finished fold, found none yet")
    if told is None or not _is_of(told, rows):
        return Ablation(rows)
    return Ablation(rows, tuple(told["comparisons"]), tuple(told["text"]), told["command"])


def ablation_section(ablation: Ablation, book: PictureBook) -> dict[str, Any]:
    """The table of all rows, how they compare, and the pictures of those that have something."""
    there = [(row.name, whole(row.run.scores)) for row in ablation.rows if row.run]
    told = "; ".join(f"{name} {score_text(part['uf1']['mean'])}" for name, part in there)
    lines = [score_line(name, part) for name, part in there]
    return {
        "text": _TEXT,
        "published_text": _PUBLISHED,
        "rows": [_table_row(row, row.run is ablation.main) for row in ablation.rows],
        "comparisons": [_compared(comparison) for comparison in ablation.comparisons],
        "conclusion": ablation.conclusion,
        "scores": book.add("ablation", partial(draw_scores, lines), f"UF1 of the rows: {told}; chance beside each."),
        "confusions": [confusion_picture(f"row-{name}", name, part, book) for name, part in there],
    }


def ablation_notices(ablation: Ablation) -> list[str]:
    """Rows without a result, and rows whose scores are of other clips than the rest's."""
    found = [f"Row “{row.name}” has no result yet: {row.lacks}." for row in ablation.rows if not row.run]
    runs = [row.run for row in ablation.rows if row.run]
    if len({(frozenset(run.scored.samples), run.scored.seeds) for run in runs}) > 1:
        found.append("The rows are not scored on the same clips and seeds: they do not compare until all are complete.")
    elif not ablation.conclusion:
        found.append("The rows are not compared yet: python -m train ablate does that when all of them are complete.")
    return found


def _told(file: Path) -> dict[str, Any]:
    """What ablation.json says, as far as it is used here."""
    try:
        facts = parsed_json(regular_file(file).read_text(encoding="utf-8"))
        rows = [
            {"name": str(row["name"]), "parameters": int(row["parameters"]), "uf1": float(row["scores"]["composite"]["uf1"]["mean"])}
            for row in facts["rows"]
        ]  # fmt: skip
        comparisons = [{key: kind(one[key]) for key, kind in _COMPARISON.items()} for one in facts["comparisons"]]
        text = [str(sentence) for sentence in facts["text"]]
        return {"rows": rows, "comparisons": comparisons, "text": text, "command": str(facts["command"])}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UsageError(
            f"{file}: expected what `python -m train ablate` writes, found something else ({error!r}); give that command again"
        ) from error


_COMPARISON: Mapping[str, Any] = {
    "row": str, "against": str, "mean": float, "low": float, "high": float, "better": int, "worse": int, "tells": bool,
}  # fmt: skip


def _is_of(told: Mapping[str, Any], rows: Sequence[ShownRow]) -> bool:
    """Whether ablation.json was made of these rows as they are now, all of them complete."""
    return all(
        row.run is not None
        and not row.run.run.missing
        and math.isclose(whole(row.run.scores)["uf1"]["mean"], said["uf1"], abs_tol=1e-9)
        for row, said in zip(rows, told["rows"], strict=True)
    )


def _opened(path: Path, name: str, parameters: int | None) -> ShownRow:
    folder = path / name
    if not (folder / "loso.json").is_file():
        return ShownRow(name, parameters, None, "not begun")
    if not (folder / "folds.jsonl").is_file() or not (folder / "folds.jsonl").stat().st_size:
        return ShownRow(name, parameters, None, "no fold is finished")
    return ShownRow(name, parameters, open_run(folder, name))


def _table_row(row: ShownRow, shown: bool) -> dict[str, Any]:
    known = VARIANTS.get(row.name)
    partly = row.run is not None and bool(row.run.run.missing)
    return {
        "name": row.name,
        "title": title_of(ticks_of(known, known.weighted_loss)) if known else "",
        "note": f"{row.run.folds_done} of {row.run.folds} folds" if row.run and partly else row.lacks,
        "parameters": "–" if row.parameters is None else f"{row.parameters:,}",
        "part": whole(row.run.scores) if row.run else None,
        "published": (known.published_uf1, known.published_uar) if known else (None, None),
        "shown": shown,
    }


def _compared(comparison: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": f"{comparison['row']} − {comparison['against']}",
        "difference": signed(comparison["mean"]),
        "interval": f"{signed(comparison['low'])} to {signed(comparison['high'])}",
        "tells": "yes" if comparison["tells"] else "no",
        "better": comparison["better"],
        "worse": comparison["worse"],
    }

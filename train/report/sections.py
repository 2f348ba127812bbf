"""The parts of a report's page that need pictures or tables of others: what the template is filled with."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from train.loso.predictions import COMPOSITE
from train.report.figures import (
    MISTAKES_SHEET,
    PagePicture,
    PictureBook,
    ScoreLine,
    draw_confusion,
    draw_losses,
    draw_people,
    draw_scores,
)
from train.report.mistakes import mistakes_of, show_mistakes
from train.report.runs import SPREAD_PERCENT, ScoredRun, curves_of
from train.report.text import PeopleOfDataset, differences, loss_of, not_comparable, part_title, score_text, shown_parts
from train.scores.literature import CAUTION, PART_TITLES, PROTOCOL_N, PUBLISHED, WITHOUT_CHOOSING

_UNFINISHED = "Folds are missing: this run's scores are of other clips than the published ones until it is complete."


def scores_picture(opened: ScoredRun, book: PictureBook) -> PagePicture:
    """UF1 of every part beside chance and, where they are of the same clips, the published numbers."""
    comparable = not_comparable(opened.run) is None and not opened.run.missing
    lines = []
    for name, part in shown_parts(opened.scores).items():
        others = [row.scores[name].uf1 for row in PUBLISHED if comparable and name in row.scores]
        lines.append(score_line(part_title(name), part, others))
    told = "; ".join(f"{line.title} {line.uf1:.3f}, chance {line.chance:.3f}" for line in lines)
    return book.add("scores", partial(draw_scores, lines), f"UF1 by part: {told}.")


def score_line(title: str, part: Mapping[str, Any], others: Sequence[float] = ()) -> ScoreLine:
    """A part's UF1 as a line of the drawing."""
    published = part["published"]
    return ScoreLine(
        title=title,
        uf1=part["uf1"]["mean"],
        sd=part["uf1"]["sd"],
        chance=part["chance"]["uf1"],
        optimistic=published["uf1"]["mean"] if published else None,
        optimistic_chance=published["chance"]["uf1"] if published else None,
        published=others,
    )


def confusion_picture(name: str, title: str, part: Mapping[str, Any], book: PictureBook) -> PagePicture:
    """A part's confusion matrix, mean over seeds; its words give every row."""
    names, matrices = list(part["per_class"]), part["confusion"]
    rows = []
    for index, truth in enumerate(names):
        counts = [sum(matrix[index][c] for matrix in matrices) / len(matrices) for c in range(len(names))]
        rows.append(
            f"of {truth} " + ", ".join(f"{count:g} {answer}" for count, answer in zip(counts, names, strict=True))
        )
    draw = partial(draw_confusion, matrices, names, f"{title}, n = {part['n']}")
    return book.add(f"confusion-{name}", draw, f"Confusion matrix, {title}. Answers: {'; '.join(rows)}.")


def people_pictures(groups: Sequence[PeopleOfDataset], book: PictureBook) -> list[PagePicture]:
    """Bars of the left-out people, a picture a dataset."""
    pictures = []
    for colour, group in enumerate(groups):
        title = f"{part_title(group.dataset)}: {len(group.people)} people"
        small = f"{group.one_class} of {len(group.people)} folds hold one class only, {group.one_clip} a single clip."
        best, worst = group.people[0], group.people[-1]
        alt = (
            f"Clips answered right by person, {title}; from {best.name} ({best.correct:g} of {best.n}) to "
            f"{worst.name} ({worst.correct:g} of {worst.n}); the table below has all."
        )
        pictures.append(
            book.add(f"people-{group.dataset}", partial(draw_people, group.people, title, colour), alt, small)
        )
    return pictures


def losses(runs: Mapping[str, ScoredRun], book: PictureBook) -> dict[str, Any]:
    """The loss curves of one or more runs, and how to read them; `runs` by the name to show."""
    curves = {f"{name}: {loss_of(one.run)}": curves_of(one.run) for name, one in runs.items()}
    low, high = SPREAD_PERCENT
    if not any(run.training or run.validation for run in curves.values()):
        return {"picture": None, "text": "The folds of this run say nothing of their losses.", "alone": False}
    text = (
        f"Lines are means over all finished folds and seeds; the shade holds the middle {high - low} % of them. "
        "The training loss holds the weight penalties, the validation loss does not."
    )
    if not any(run.validation for run in curves.values()):
        text += " No fold held out validation people, so there is no validation loss."
    if len({loss_of(one.run) for one in runs.values()}) > 1:
        text += (
            " Class weights scale a loss: on these logarithmic axes that moves a whole line up or down, so compare the "
            "shapes of the lines, and the UF1 where there is one, rather than their heights."
        )
    told = "; ".join(
        f"{name}: training loss {run.training.mean[0]:.3g} at first, {run.training.mean[-1]:.3g} at last"
        for name, run in curves.items()
        if run.training
    )
    alt = f"Loss by epoch, mean and spread over folds. {told}."
    picture = book.add("losses", partial(draw_losses, curves), alt)
    return {"picture": picture, "text": text, "alone": len(runs) == 1}


def mistakes(opened: ScoredRun, most: int, book: PictureBook) -> dict[str, Any]:
    """The most confident mistakes, with pictures where their stores still hold them."""
    found = mistakes_of(opened.scored)
    clips = len(opened.scored.samples)
    if not found:
        return {
            "text": f"None: all {clips} clips were answered right.",
            "problems": (),
            "shown": (),
            "rows": (),
            "n": 0,
        }
    text = f"{len(found)} of {clips} clips were answered wrong" + (
        f" with at least one of {len(opened.scored.seeds)} seeds" if len(opened.scored.seeds) > 1 else ""
    )
    text += ". The most confident mistakes come first: true class → answer, with its probability."
    rows = found[:most]
    if not rows:
        return {"text": text, "problems": (), "shown": (), "rows": found, "n": len(found)}
    sheet = book.path(MISTAKES_SHEET)
    shown, problems = show_mistakes(rows, sheet)
    if not shown:
        book.files.remove(sheet)
    moments = " or ".join(dict.fromkeys(one.moments for one in shown))
    return {"text": text, "problems": problems, "shown": shown, "rows": found, "n": len(found), "moments": moments}


def others(opened: ScoredRun) -> dict[str, Any]:
    """Our scores and chance above what papers report, in columns of the same parts."""
    parts = shown_parts(opened.scores)
    same_composite = set(opened.run.datasets) == set(PROTOCOL_N) - {COMPOSITE}
    where = {
        name: name if name in PART_TITLES and (name != COMPOSITE or same_composite) else f"own {name}" for name in parts
    }
    own = {where[name]: "all of these" if name == COMPOSITE else name for name in parts if where[name] != name}
    columns = own | dict(PART_TITLES)
    by_column = {where[name]: part for name, part in parts.items()}
    rows = [_our_row("this run", "ours", columns, by_column)]
    optimistic = {name: part["published"] for name, part in by_column.items() if part["published"]}
    if optimistic:
        rows.append(_our_row("this run, published protocol (optimistic)", "aside", columns, optimistic))
        rows.append(_chance_row("chance under the published protocol", "aside", columns, optimistic))
    rows.append(_chance_row("chance", "guess", columns, by_column))
    sources = []
    for number, row in enumerate(PUBLISHED, start=1):
        cells = []
        for column in columns:
            score = row.scores.get(column)
            cells += [score_text(score and score.uf1), score_text(score and score.uar)]
        kind = "same" if row.same_network else ""
        rows.append({"method": row.method, "year": row.year, "cells": cells, "kind": kind, "mark": number})
        sources.append(f"{row.method}: {row.source}" + (f"; {row.note}" if row.note else ""))
    return {
        "columns": columns,
        "rows": rows,
        "sources": sources,
        "warning": not_comparable(opened.run) or (_UNFINISHED if opened.run.missing else None),
        "caution": CAUTION,
        "without_choosing": WITHOUT_CHOOSING,
    }


def compared(opened: ScoredRun, against: ScoredRun, names: tuple[str, str]) -> dict[str, Any]:
    """Both runs' scores, part by part, and what sets the runs apart."""
    mine, its = shown_parts(opened.scores), shown_parts(against.scores)
    rows = []
    for part in dict.fromkeys([*mine, *its]):
        for first, name, parts in ((True, names[0], mine), (False, names[1], its)):
            if part in parts:
                rows.append({"title": f"{part_title(part)}, {name}", "part": parts[part], "first": first})
    told = differences(opened.run, against.run)
    return {"name": names[1], "first": names[0], "rows": rows, "differences": told}


def run_names(path: Path, against: Path) -> tuple[str, str]:
    """Short names of two runs' folders that tell them apart."""
    one, other = path.resolve(), against.resolve()
    if one.name != other.name:
        return one.name, other.name
    return f"{one.parent.name}/{one.name}", f"{other.parent.name}/{other.name}"


def _our_row(method: str, kind: str, columns: Mapping[str, str], found: Mapping[str, Any]) -> dict[str, Any]:
    cells = [
        score_text(found[name][key]["mean"]) if name in found else "–" for name in columns for key in ("uf1", "uar")
    ]
    return {"method": method, "year": "", "cells": cells, "kind": kind, "mark": None}


def _chance_row(method: str, kind: str, columns: Mapping[str, str], found: Mapping[str, Any]) -> dict[str, Any]:
    cells = [
        score_text(found[name]["chance"][key]) if name in found else "–" for name in columns for key in ("uf1", "uar")
    ]
    return {"method": method, "year": "", "cells": cells, "kind": kind, "mark": None}

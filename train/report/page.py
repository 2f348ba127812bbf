"""A run's report: one HTML page that holds everything it shows, and its pictures as PNG beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.errors import UsageError
from train.files import write_text
from train.report.ablation import Ablation, ablation_notices, ablation_section, is_ablation, open_ablation
from train.report.figures import MISTAKES_SHEET, PictureBook, count_text
from train.report.html import PAGE, Report, rendered
from train.report.runs import ScoredRun, open_run
from train.report.sections import (
    compared,
    confusion_picture,
    losses,
    mistakes,
    others,
    people_pictures,
    run_names,
    scores_picture,
)
from train.report.spot_page import write_spot_report
from train.report.spot_run import is_spot_run, open_spot_run
from train.report.text import (
    MEASURES,
    facts,
    missing_by_seed,
    notices,
    part_title,
    people_of,
    reading,
    score_text,
    shown_parts,
    whole,
)
from train.text_table import spread_text

MISTAKES = 24


def write_report(path: Path, out: Path, against: Path | None = None, most_mistakes: int = MISTAKES) -> Report:
    """Makes the report of the run, ablation or run over long videos in `path`, beside the run in `against`, in the folder `out`.

    `most_mistakes`: how many misclassified clips, or false and missed events, are shown with pictures.

    Raises:
        UsageError: there is no run, or nothing of it is finished. OSError: `out` cannot be written.
    """
    if is_spot_run(path):
        if against:
            raise UsageError(f"--against: {path} is a run over long videos, which has nothing beside it; leave it out")
        return write_spot_report(open_spot_run(path), _made(out), most_mistakes)
    ablation = open_ablation(path) if is_ablation(path) else None
    if ablation and against:
        raise UsageError(f"--against: {path} is an ablation, whose rows stand beside each other already; leave it out")
    opened = ablation.main if ablation else open_run(path)
    other = open_run(against) if against else None
    book = PictureBook(_made(out))
    context = _context(opened, book, most_mistakes)
    if ablation:
        context |= _ablation(ablation, context, book)
        context["losses"] = losses(ablation.loss_runs, book)
    elif other and against:
        names = run_names(path, against)
        context["compared"] = compared(opened, other, names)
        context["losses"] = losses({names[0]: opened, names[1]: other}, book)
    else:
        context["losses"] = losses({opened.name: opened}, book)
    filters = {"part_title": part_title, "count": count_text, "mean_sd": spread_text}
    page = rendered("report.html", context | {"measures": MEASURES, "sections": _sections(context)}, filters)
    write_text(out / PAGE, page)
    return Report(out / PAGE, tuple(book.files), tuple(context["notices"]))


def _made(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: expected a folder to write into, found a file; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    # What shows people must not stay beside a page that was made anew without.
    (out / f"{MISTAKES_SHEET}.png").unlink(missing_ok=True)
    return out


def _context(opened: ScoredRun, book: PictureBook, most_mistakes: int) -> dict[str, Any]:
    """What the page of one run is filled with, but its losses."""
    run, scores = opened.run, opened.scores
    parts, part, seeds = shown_parts(scores), whole(scores), len(opened.scored.seeds)
    groups = people_of(opened.scored)
    title = f"Leave-one-subject-out on {' + '.join(map(part_title, run.datasets))}"
    published = part["published"]
    context = {
        "kind": f"{'partial run' if run.missing else 'complete run'}: {opened.name}",
        "title": title,
        "lead": f"{part['n']} clips of {part['people']} people in {len(run.class_names)} classes: UF1 {spread_text(part['uf1'])}, where guessing gets {score_text(part['chance']['uf1'])}.",
        "notices": notices(opened),
        "facts": facts(opened),
        "missing": missing_by_seed(run),
        "people_n": len(run.people),
        "command": run.command,
        "parts": parts,
        "several_seeds": seeds > 1,
        "seeds_text": f"; mean ± standard deviation over {seeds} seeds" if seeds > 1 else ", with one seed",
        "score_picture": scores_picture(opened, book),
        "published": {"label": published["label"], "draws": published["chance_draws"]} if published else None,
        "others": others(opened),
        "confusions": [confusion_picture(name, part_title(name), one, book) for name, one in parts.items()],
        "people": people_pictures(groups, book),
        "people_rows": groups,
        "mistakes": mistakes(opened, most_mistakes, book),
        "reading": reading(opened, groups),
        "compared": None,
        "ablation": None,
        "shown_name": opened.name,
    }
    return context


def _ablation(ablation: Ablation, context: Mapping[str, Any], book: PictureBook) -> dict[str, Any]:
    """What is said otherwise on the page of an ablation."""
    done = sum(row.run is not None and not row.run.run.missing for row in ablation.rows)
    return {
        "kind": f"ablation: {done} of {len(ablation.rows)} rows complete",
        "title": f"Ablation, l{context['title'][1:]}",
        "lead": f"Row “{ablation.main.name}”: {context['lead']}",
        "notices": [*ablation_notices(ablation), *context["notices"]],
        "command": ablation.command or context["command"],
        "ablation": ablation_section(ablation, book),
    }


def _sections(context: Mapping[str, Any]) -> dict[str, str]:
    """Anchors and headings of the sections that the page has."""
    named = {
        "run": "The run",
        "ablation": "Ablation",
        "scores": "Scores",
        "optimistic": "Published protocol (optimistic)",
        "others": "Published scores",
        "classes": "Classes and confusions",
        "people": "People",
        "losses": "Losses",
        "mistakes": "Misclassified clips",
        "reading": "How to read this",
    }
    absent = {name for name, key in (("ablation", "ablation"), ("optimistic", "published")) if not context[key]}
    return {anchor: name for anchor, name in named.items() if anchor not in absent}

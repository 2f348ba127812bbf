"""Scores of a leave-one-subject-out run: pooled over its folds, beside what guessing gets on the same folds.

Every part (all samples, "composite", and each dataset) is scored once a seed from the confusion matrix of all its
samples, as in MEGC 2019; mean and standard deviation are over seeds. Where a run kept the answers of every epoch, the
published scoring stands beside it, labelled optimistic, with its own line of chance. `loso_scores` computes what
`scores.json` holds, `check_scores` checks what one says, and `scores_table` shows it in the terminal.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, conlist
from rich.markup import escape
from rich.table import Table
from typing_extensions import TypedDict

from model.checked import Number, checked
from train.errors import UsageError
from train.files import write_text
from train.loso.predictions import COMPOSITE, Fold, LosoRun, Sample, read_run, require_finished
from train.scores.metrics import Scores, chance, confusion_matrix, join, scores
from train.scores.published import OPTIMISTIC, FoldAnswers, published_chance, published_scores

_SCORES = {"UF1": "uf1", "UAR": "uar", "accuracy": "accuracy"}
"""By their headings."""
_WITHIN = Field(ge=-1e12, le=1e12)
_SCORE, _WHOLE = Annotated[Number, _WITHIN], Annotated[int, _WITHIN]


def loso_scores(run: LosoRun) -> dict[str, Any]:
    """What `scores.json` holds.

    class_names, class_map (by dataset, in words), scheme, select, protocol, epochs, seeds, and parts: "composite" and each dataset, with n, people, uf1,
    uar and accuracy (as `spread` gives them), per_class (means over seeds), confusion (one matrix a seed, rows truth),
    chance, and published (null without the answers of every epoch).

    Raises:
        UsageError: folds are missing, or some folds have the answers of every epoch and others not.
    """
    require_finished(run)
    return {
        "class_names": list(run.class_names),
        "class_map": dict(run.class_map),
        "scheme": run.scheme,
        "select": run.select,
        "protocol": run.protocol,
        "epochs": run.epochs,
        "seeds": list(run.seeds),
        "parts": {name: _part(run, run.part(name)) for name in (COMPOSITE, *run.datasets)},
    }


def write_scores(path: Path | str) -> dict[str, Any]:
    """Reads the finished run in the folder `path`, writes its `scores.json` and returns what is in it.

    Raises:
        UsageError: as `read_run` and `loso_scores`. OSError: the file cannot be written.
    """
    found = loso_scores(read_run(path))
    write_text(Path(path) / "scores.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return found


def spread(values: Sequence[float]) -> dict[str, Any]:
    """mean, sd (of a sample of seeds, n - 1; None for one seed) and by_seed."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "by_seed": [float(value) for value in values]}


def _part(run: LosoRun, samples: Sequence[Sample]) -> dict[str, Any]:
    found = [_pooled(run, samples, seed) for seed in run.seeds]
    guess = chance(np.bincount([sample.label for sample in samples], minlength=len(run.class_names)))
    return {
        "n": len(samples),
        "people": len({sample.person for sample in samples}),
        **{name: spread([getattr(one, name) for one in found]) for name in _SCORES.values()},
        "per_class": {
            name: {
                **{
                    kind: float(np.mean([getattr(one.per_class[name], kind) for one in found]))
                    for kind in ("precision", "recall", "f1")
                },
                "n": found[0].per_class[name].n,
            }
            for name in run.class_names
        },
        "confusion": [[list(row) for row in one.confusion] for one in found],
        "chance": {name: getattr(guess, name) for name in _SCORES.values()},
        "published": _published(run, samples),
    }


def _pooled(run: LosoRun, samples: Sequence[Sample], seed: int) -> Scores:
    predicted = run.predictions[seed]
    truth, answers = join(
        ((sample.id, sample.label) for sample in samples),
        ((sample.id, predicted[sample.id].answer) for sample in samples),
    )
    return scores(confusion_matrix(truth, answers, len(run.class_names)), run.class_names)


def _published(run: LosoRun, samples: Sequence[Sample]) -> dict[str, Any] | None:
    people = tuple(dict.fromkeys(sample.person for sample in samples))
    draws = _draws(run)
    if draws is None:
        return None
    classes = len(run.class_names)
    found = [published_scores([_answers(run, run.folds[seed][one]) for one in people], classes) for seed in run.seeds]
    supports = np.zeros((len(people), classes), np.int64)
    for sample in samples:
        supports[people.index(sample.person), sample.label] += 1
    guess = published_chance(supports, draws)
    return {
        "label": OPTIMISTIC,
        **{name: spread([getattr(one, name) for one in found]) for name in _SCORES.values()},
        "chance": {name: getattr(guess, name) for name in _SCORES.values()},
        "chance_draws": draws,
    }


def _draws(run: LosoRun) -> int | None:
    """How many epochs every fold could choose from; None where no fold says."""
    folds = [fold for of_seed in run.folds.values() for fold in of_seed.values()]
    lengths = {len(fold.test_epochs.answers) if fold.test_epochs else 0 for fold in folds}
    if len(lengths) > 1:
        raise UsageError(
            f"{run.path}: test_epochs: expected the answers of equally many epochs in every fold, found {sorted(lengths)}"
        )
    draws = lengths.pop()
    if run.protocol == "published" and not draws:
        raise UsageError(f"{run.path}: expected test_epochs in every fold under the published protocol, found none")
    return draws or None


def _answers(run: LosoRun, fold: Fold) -> FoldAnswers:
    assert fold.test_epochs is not None
    truth = [run.samples[sample_id].label for sample_id in fold.test_epochs.ids]
    return FoldAnswers(np.array(truth), np.array(fold.test_epochs.answers))


def check_scores(scores: Any, names: Sequence[str], seeds: int, parts: Sequence[str]) -> None:
    """Raises ValueError that names the first place which is not as `loso_scores` makes it. `parts` have to be there."""
    classes = len(names)
    spread = _record(mean=_SCORE, sd=_SCORE if seeds > 1 else None, by_seed=_as_many(_SCORE, seeds))
    scored = {**dict.fromkeys(_SCORES.values(), spread), "chance": _record(**dict.fromkeys(_SCORES.values(), _SCORE))}
    part = _record(
        n=_WHOLE,
        people=_WHOLE,
        per_class=_record(**dict.fromkeys(names, _record(precision=_SCORE, recall=_SCORE, f1=_SCORE, n=_WHOLE))),
        confusion=_as_many(_as_many(_as_many(_WHOLE, classes), classes), seeds),
        published=_record(label=str, chance_draws=_WHOLE, **scored) | None,
        **scored,
    )
    head = {"scheme": str, "select": str, "protocol": str, "epochs": _WHOLE}
    checked(TypeAdapter(_record(**head, parts=_record(**dict.fromkeys(parts, part)))), scores)


def _record(**kinds: Any) -> Any:
    """The type of a JSON object with at least these fields."""
    made: Any = TypedDict
    return made("record", kinds)


def _as_many(kind: Any, count: int) -> Any:
    return conlist(kind, min_length=count, max_length=count)


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
    return [*tables, _classes(parts, scores.get("class_map", {}))]


def _table(title: str, parts: Mapping[str, Any], scored: Mapping[str, Any], caption: str | None) -> Table:
    table = Table("part", title=title, caption=caption)
    for heading in ("clips", "people"):
        table.add_column(heading, justify="right")
    table.add_column("score")
    for heading in ("mean", "chance"):
        table.add_column(heading, justify="right")
    for name, found in scored.items():
        who = (escape(name), str(parts[name]["n"]), str(parts[name]["people"]))
        for score, key in _SCORES.items():
            table.add_row(*who, score, _spread(found[key]), f"{found['chance'][key]:.3f}")
            who = ("", "", "")
        table.add_section()
    return table


def _classes(parts: Mapping[str, Any], class_map: Mapping[str, str]) -> Table:
    said = "\n".join(f"{dataset}: {words}" for dataset, words in class_map.items())
    table = Table(title="By class, pooled over folds, mean over seeds", caption=escape(said) or None)
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

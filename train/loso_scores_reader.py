"""Reads the folder of a leave-one-subject-out run and checks that what its files say fits together.

`loso.json` says what is run, `samples.jsonl` what is tested, `predictions.jsonl` the answers, and `folds.jsonl` which
folds are finished: a fold's line is written after its predictions, so that those without one are of no account.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from train.errors import UsageError
from train.json_text import parsed_json
from train.loso_scores_records import (
    Fold,
    LosoRun,
    Prediction,
    Sample,
    fold_from,
    head_from,
    prediction_from,
    require,
    sample_from,
)

SCHEMA_VERSION = 1


def read_run(path: Path | str, allow_partial: bool = False) -> LosoRun:
    """The run in the folder `path`; with `allow_partial` also one that is not finished, or was stopped within a line.

    Raises:
        UsageError: a file is missing or damaged, what it says does not fit together (a sample twice in a seed, a label
            that is not the sample's, a finished fold without all its predictions), or folds are missing and may not.
    """
    folder = Path(path)
    if not (folder / "loso.json").is_file():
        raise UsageError(f"{folder}: expected the folder of a leave-one-subject-out run with loso.json, found none")
    head = _head(folder / "loso.json")
    names, seeds = head["class_names"], head["seeds"]
    samples = _samples(folder / "samples.jsonl", names)
    people: dict[str, list[str]] = {}
    for sample in samples.values():
        people.setdefault(sample.person, []).append(sample.id)
    folds = _folds(folder / "folds.jsonl", seeds, people, len(names), allow_partial)
    told = folder / "predictions.jsonl"
    predictions, set_aside = _predictions(told, samples, folds, names, allow_partial)
    for fold in (fold for of_seed in folds.values() for fold in of_seed.values()):
        lacking = [sample_id for sample_id in people[fold.person] if sample_id not in predictions[fold.seed]]
        expected = f"predictions of all its {fold.test_n} samples, since it is finished"
        require(
            not lacking, f"{told}: seed {fold.seed}, fold {fold.person}", expected, f"none of {', '.join(lacking[:3])}"
        )
    missing = tuple((seed, person) for seed in seeds for person in people if person not in folds[seed])
    run = LosoRun(
        path=folder, samples=samples, predictions=predictions, folds=folds, missing=missing, set_aside=set_aside, **head
    )
    if not allow_partial:
        require_finished(run)
    return run


def require_finished(run: LosoRun) -> None:
    """Raises UsageError when folds are missing: how many, one of them, and how to go on."""
    if run.missing:
        seed, person = run.missing[0]
        raise UsageError(
            f"{run.path}: expected {len(run.seeds) * len(run.people)} finished folds, {len(run.missing)} are missing, "
            f"e.g. {person} of seed {seed}; finish the run with: {run.command}"
        )


def _head(path: Path) -> dict[str, Any]:
    raw = _parsed(path, path.read_text(encoding="utf-8", errors="replace"))
    version = raw.get("schema_version", "none")
    require(version == SCHEMA_VERSION, f"{path}: schema_version", SCHEMA_VERSION, version)
    return head_from(raw, path)


def _samples(path: Path, names: tuple[str, ...]) -> dict[str, Sample]:
    samples: dict[str, Sample] = {}
    for where, raw in _lines(path):
        sample = sample_from(raw, names, where)
        require(sample.id not in samples, f"{where}: sample {sample.id}", "each sample once", "it twice")
        samples[sample.id] = sample
    require(bool(samples), path, "one sample or more", "none")
    return samples


def _folds(
    path: Path, seeds: tuple[int, ...], people: Mapping[str, list[str]], classes: int, torn: bool
) -> dict[int, dict[str, Fold]]:
    folds: dict[int, dict[str, Fold]] = {seed: {} for seed in seeds}
    for where, raw in _lines(path, torn):
        fold = fold_from(raw, classes, where)
        require(fold.seed in folds, f"{where}: seed", f"one of {list(seeds)}", fold.seed)
        require(fold.person in people, f"{where}: fold", "a person of samples.jsonl", fold.person)
        once = fold.person not in folds[fold.seed]
        require(once, f"{where}: fold {fold.person}", f"it once in seed {fold.seed}", "it twice")
        ids = people[fold.person]
        require(fold.test_n == len(ids), f"{where}: test_n", len(ids), fold.test_n)
        tested = fold.test_epochs.ids if fold.test_epochs else ids
        same = sorted(tested) == sorted(ids)
        require(same, f"{where}: test_epochs", f"the fold's {len(ids)} samples, each once", list(tested))
        folds[fold.seed][fold.person] = fold
    return folds


def _predictions(
    path: Path,
    samples: Mapping[str, Sample],
    folds: Mapping[int, Mapping[str, Fold]],
    names: tuple[str, ...],
    torn: bool,
) -> tuple[dict[int, dict[str, Prediction]], int]:
    """Those of finished folds by seed and id, and how many there are of others."""
    found: dict[int, dict[str, Prediction]] = {seed: {} for seed in folds}
    set_aside = 0
    for where, raw in _lines(path, torn):
        one = prediction_from(raw, names, where)
        require(one.seed in found, f"{where}: seed", f"one of {list(found)}", one.seed)
        require(one.id in samples, f"{where}: id", "a sample of samples.jsonl", one.id)
        sample = samples[one.id]
        require(one.fold == sample.person, f"{where}: fold of {one.id}", sample.person, one.fold)
        require(one.label == sample.label, f"{where}: label of {one.id}", names[sample.label], names[one.label])
        if one.fold not in folds[one.seed]:
            set_aside += 1
            continue
        once = one.id not in found[one.seed]
        require(once, f"{where}: sample {one.id}", f"it once in seed {one.seed}", "it twice")
        found[one.seed][one.id] = one
    return found, set_aside


def _lines(path: Path, torn: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each line's object is, for errors, and the object.

    With `torn`, as of a run that was killed: no file at all says nothing, and a last line without its end is left out.
    """
    if torn and not path.exists():
        return
    if not path.is_file():
        raise UsageError(f"{path}: expected a file of the run, found none")
    *lines, rest = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        yield where, _parsed(where, line.decode("utf-8", errors="replace"))
    require(torn or not rest, f"{path}, line {len(lines) + 1}", "a whole line", "one cut off")


def _parsed(where: object, text: str) -> dict[str, Any]:
    try:
        raw = parsed_json(text)
    except ValueError as error:
        raise UsageError(f"{where}: expected a JSON object, found something else ({error})") from error
    require(isinstance(raw, dict), where, "a JSON object", text[:40])
    return raw

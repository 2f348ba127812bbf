"""What a leave-one-subject-out run says, as records: the run, its samples, predictions and folds.

In the run's files labels and answers are the classes' names; here they are indices into the run's `class_names`. Every
`_from` function makes a record of one JSON object that stands at `where`, and raises UsageError where it is wrong.

Reads the folder of a leave-one-subject-out run and checks that what its files say fits together.

`loso.json` says what is run, `samples.jsonl` what is tested, `predictions.jsonl` the answers, and `folds.jsonl` which
folds are finished: a fold's line is written after its predictions, so that those without one are of no account.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from train.errors import UsageError, check_type
from train.files import parsed_json

COMPOSITE = "composite"
"""Name of the part of all samples together; no dataset may be called so."""

_SUM_TOLERANCE = 1e-3
_TIE_TOLERANCE = 1e-6
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Sample:
    """A clip that is tested once a seed: `label` is a class index, `row` its place in the clip store `store`."""

    id: str
    person: str
    dataset: str
    label: int
    store: str
    row: int


@dataclass(frozen=True)
class FoldAnswer:
    """The answer on a test clip of a finished fold: class indices, and each class's probability, (classes,)."""

    seed: int
    fold: str
    id: str
    label: int
    answer: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class EpochAnswers:
    """Class indices for a fold's test clips after every epoch: `answers[epoch][i]` is the answer on `ids[i]`."""

    ids: tuple[str, ...]
    answers: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Fold:
    """A finished fold: `person` left out, `epoch` (from 1) chosen.

    `epochs` is what was written of each, as it was written: at least "epoch" and "loss", besides "val_loss" and
    "val_uf1" where there were validation people. `test_epochs` is there under the published protocol.
    """

    seed: int
    person: str
    train_n: int
    test_n: int
    validation_people: tuple[str, ...]
    epoch: int
    epochs: tuple[Mapping[str, Any], ...]
    test_epochs: EpochAnswers | None
    seconds: float
    clips_per_s: float


@dataclass(frozen=True)
class LosoRun:
    """All that a run's folder says.

    `samples` by id, in their order; `predictions[seed][id]` and `folds[seed][person]` of finished folds alone, every
    seed a key. `missing` lists the (seed, person) of folds that are not finished; `set_aside` counts the predictions
    that were found of those.
    """

    path: Path
    config: Mapping[str, Any]
    scheme: Literal["cde", "sde"]
    protocol: Literal["honest", "published"]
    select: Literal["fixed", "validation"]
    seeds: tuple[int, ...]
    class_names: tuple[str, ...]
    stores: tuple[str, ...]
    pretrain: str | None
    command: str
    samples: Mapping[str, Sample]
    predictions: Mapping[int, Mapping[str, FoldAnswer]]
    folds: Mapping[int, Mapping[str, Fold]]
    missing: tuple[tuple[int, str], ...] = ()
    set_aside: int = 0

    @property
    def epochs(self) -> int:
        """Epochs that every fold is trained for."""
        return int(self.config["epochs"])

    @property
    def people(self) -> tuple[str, ...]:
        """The people, each a fold, in the order of their samples."""
        return tuple(dict.fromkeys(sample.person for sample in self.samples.values()))

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets, in the order of their samples."""
        return tuple(dict.fromkeys(sample.dataset for sample in self.samples.values()))

    def part(self, name: str) -> tuple[Sample, ...]:
        """The samples of a dataset, or all for "composite"."""
        return tuple(sample for sample in self.samples.values() if name in (COMPOSITE, sample.dataset))


def require(condition: bool, what: object, expected: object, found: object) -> None:
    """Raises UsageError that says what was expected and found, unless the condition holds."""
    if not condition:
        raise UsageError(f"{what}: expected {expected}, found {found}")


def value_of(raw: Mapping[str, Any], name: str, kind: Any, where: object) -> Any:
    """`raw[name]`, lists as tuples; raises UsageError unless it is of that kind."""
    value = _frozen(raw.get(name))
    check_type(f"{where}: {name}", value, kind)
    return value


def head_from(raw: Mapping[str, Any], where: object) -> dict[str, Any]:
    """LosoRun's fields that are in loso.json: config, scheme, protocol, select, seeds, class_names …"""
    kinds: dict[str, Any] = {
        "scheme": Literal["cde", "sde"],
        "protocol": Literal["honest", "published"],
        "select": Literal["fixed", "validation"],
        "seeds": tuple[int, ...],
        "class_names": tuple[str, ...],
        "stores": tuple[str, ...],
        "pretrain": str | None,
        "command": str,
    }
    head = {name: value_of(raw, name, kind, where) for name, kind in kinds.items()}
    for name, least in (("seeds", 1), ("class_names", 2)):
        values = head[name]
        fits = len(values) >= least and len(set(values)) == len(values)
        require(fits, f"{where}: {name}", f"{least} or more, none twice", list(values))
    config = raw.get("config")
    require(isinstance(config, dict), f"{where}: config", "an object", config)
    epochs = value_of(raw["config"], "epochs", int, f"{where}: config")
    require(epochs >= 1, f"{where}: config: epochs", "1 or more", epochs)
    return head | {"config": config}


def sample_from(raw: Mapping[str, Any], names: Sequence[str], where: object) -> Sample:
    """A line of samples.jsonl; people carry their dataset's name, since subject ids of datasets clash."""
    person, dataset = (value_of(raw, name, str, where) for name in ("person", "dataset"))
    require(person.startswith(f"{dataset}/"), f"{where}: person", f"{dataset}/SUBJECT", person)
    require(dataset != COMPOSITE, f"{where}: dataset", "another name, as that means all datasets together", dataset)
    return Sample(
        id=value_of(raw, "id", str, where),
        person=person,
        dataset=dataset,
        label=_class(raw, "label", names, where),
        store=value_of(raw, "store", str, where),
        row=value_of(raw, "row", int, where),
    )


def prediction_from(raw: Mapping[str, Any], names: Sequence[str], where: object) -> FoldAnswer:
    """A line of predictions.jsonl: the probabilities are complete, and the answer is the likeliest class."""
    values = raw.get("probabilities")
    complete = isinstance(values, dict) and values.keys() == set(names)
    require(complete, f"{where}: probabilities", f"one for each of {', '.join(names)}", values)
    where_values = f"{where}: probabilities"
    probabilities = tuple(value_of(raw["probabilities"], name, float, where_values) for name in names)
    sums = min(probabilities) >= 0 and math.isclose(sum(probabilities), 1, abs_tol=_SUM_TOLERANCE)
    require(sums, where_values, "numbers from 0 that sum to 1", list(probabilities))
    answer, best = _class(raw, "answer", names, where), max(probabilities)
    likeliest = f"{names[probabilities.index(best)]}, the likeliest class"
    require(probabilities[answer] > best - _TIE_TOLERANCE, f"{where}: answer", likeliest, names[answer])
    return FoldAnswer(
        seed=value_of(raw, "seed", int, where),
        fold=value_of(raw, "fold", str, where),
        id=value_of(raw, "id", str, where),
        label=_class(raw, "label", names, where),
        answer=answer,
        probabilities=probabilities,
    )


def fold_from(raw: Mapping[str, Any], classes: int, where: object) -> Fold:
    """A line of folds.jsonl: the left-out person is not among the validation people, answers are complete."""
    epochs, tested = raw.get("epochs"), raw.get("test_epochs")
    told = isinstance(epochs, list) and all(isinstance(e, dict) and {"epoch", "loss"} <= e.keys() for e in epochs)
    require(told, f"{where}: epochs", "a list of objects with epoch and loss", epochs)
    require(tested is None or isinstance(tested, dict), f"{where}: test_epochs", "an object or null", tested)
    fold = Fold(
        seed=value_of(raw, "seed", int, where),
        person=value_of(raw, "fold", str, where),
        train_n=value_of(raw, "train_n", int, where),
        test_n=value_of(raw, "test_n", int, where),
        validation_people=value_of(raw, "validation_people", tuple[str, ...], where),
        epoch=value_of(raw, "epoch", int, where),
        epochs=tuple(raw["epochs"]),
        test_epochs=_epoch_answers(tested, classes, f"{where}: test_epochs") if tested else None,
        seconds=value_of(raw, "seconds", float, where),
        clips_per_s=value_of(raw, "clips_per_s", float, where),
    )
    require(fold.person not in fold.validation_people, f"{where}: validation_people", "others", fold.person)
    return fold


def _epoch_answers(raw: Mapping[str, Any], classes: int, where: str) -> EpochAnswers:
    ids = value_of(raw, "ids", tuple[str, ...], where)
    answers = value_of(raw, "answers", tuple[tuple[int, ...], ...], where)
    for number, epoch in enumerate(answers, start=1):
        fits = len(epoch) == len(ids) and all(0 <= answer < classes for answer in epoch)
        require(fits, f"{where}: epoch {number}", f"{len(ids)} class indices of 0 to {classes - 1}", list(epoch))
    require(len(answers) > 0, f"{where}: answers", "one epoch or more", "none")
    return EpochAnswers(ids, answers)


def _class(raw: Mapping[str, Any], name: str, names: Sequence[str], where: object) -> int:
    value = raw.get(name)
    require(value in names, f"{where}: {name}", f"one of {', '.join(names)}", repr(value))
    return list(names).index(raw[name])


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


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
) -> tuple[dict[int, dict[str, FoldAnswer]], int]:
    """Those of finished folds by seed and id, and how many there are of others."""
    found: dict[int, dict[str, FoldAnswer]] = {seed: {} for seed in folds}
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

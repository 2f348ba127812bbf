"""What the folder of a leave-one-subject-out run says: the run, its samples, predictions and folds, read and checked.

`loso.json` says what is run, `samples.jsonl` what is tested, `predictions.jsonl` the answers, and `folds.jsonl` which
folds are finished: a fold's line is written after its predictions, so that those without one are of no account. In the
files labels and answers are the classes' names; here they are indices into the run's `class_names`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, TypeAdapter, ValidationInfo

from model.checked import MisfitError, Number, checked_json, shown
from train.errors import UsageError

COMPOSITE = "composite"
"""Name of the part of all samples together; no dataset may be called so."""

_SUM_TOLERANCE = 1e-3
_TIE_TOLERANCE = 1e-6
_Record = TypeVar("_Record")
_Item = TypeVar("_Item")


def require(condition: bool, what: object, expected: object, found: object) -> None:
    """Raises UsageError that says what was expected and found, unless the condition holds."""
    if not condition:
        raise UsageError(f"{what}: expected {expected}, found {found}")


def _require(condition: bool, expected: object, found: object, field: str = "") -> None:
    """Within a record: what pydantic gets its place from."""
    if not condition:
        raise ValueError(f"{field and field + ': '}expected {expected}, found {found}")


def _names(info: ValidationInfo) -> tuple[str, ...]:
    """The run's classes, given with every line that is read."""
    return info.context or ()


def _index(value: Any, info: ValidationInfo) -> int:
    """Of a class's name."""
    names = _names(info)
    _require(value in names, f"one of {', '.join(names)}", shown(value))
    return names.index(value)


def _class_index(value: int, info: ValidationInfo) -> int:
    classes = len(_names(info))
    _require(0 <= value < classes, f"a class index of 0 to {classes - 1}", value)
    return value


def _probabilities(value: object, info: ValidationInfo) -> tuple[float, ...]:
    """In the classes' order, complete, and the most for the answer."""
    names = _names(info)
    told = _BY_NAME.validate_python(value, strict=True)
    _require(told.keys() == set(names), f"one for each of {', '.join(names)}", shown(told))
    values = tuple(told[name] for name in names)
    sums = min(values) >= 0 and math.isclose(sum(values), 1, abs_tol=_SUM_TOLERANCE)
    _require(sums, "numbers from 0 that sum to 1", list(values))
    answer, best = info.data.get("answer"), max(values)
    if answer is not None:
        likeliest = names[values.index(best)]
        _require(values[answer] > best - _TIE_TOLERANCE, f"the most for {names[answer]}, the answer", likeliest)
    return values


def _different(values: tuple[_Item, ...]) -> tuple[_Item, ...]:
    _require(len(set(values)) == len(values), "none twice", list(values))
    return values


def _with_loss(epoch: dict[str, Any]) -> dict[str, Any]:
    _require({"epoch", "loss"} <= epoch.keys(), "an object with epoch and loss", shown(epoch))
    return epoch


def _with_epochs(config: dict[str, Any]) -> dict[str, Any]:
    epochs = config.get("epochs")
    _require(type(epochs) is int and epochs >= 1, "an integer of 1 or more", shown(epochs), "epochs")
    return config


ClassName = Annotated[int, BeforeValidator(_index)]
ClassIndex = Annotated[int, AfterValidator(_class_index)]
Probabilities = Annotated[tuple[float, ...], PlainValidator(_probabilities)]
_BY_NAME = TypeAdapter(dict[str, Number])


@dataclass(frozen=True)
class Sample:
    """A clip that is tested once a seed: `label` is a class index, `row` its place in the clip store `store`.

    People carry their dataset's name, since subject ids of datasets clash.
    """

    id: str
    person: str
    dataset: str
    label: ClassName
    store: str
    row: int

    def __post_init__(self) -> None:
        other = "another name, as that means all datasets together"
        _require(self.person.startswith(f"{self.dataset}/"), f"{self.dataset}/SUBJECT", self.person, "person")
        _require(self.dataset != COMPOSITE, other, self.dataset, "dataset")


@dataclass(frozen=True)
class FoldAnswer:
    """The answer on a test clip of a finished fold: class indices, and each class's probability, (classes,).

    The answer is the likeliest class.
    """

    seed: int
    fold: str
    id: str
    label: ClassName
    answer: ClassName
    probabilities: Probabilities


@dataclass(frozen=True)
class EpochAnswers:
    """Class indices for a fold's test clips after every epoch: `answers[epoch][i]` is the answer on `ids[i]`."""

    ids: tuple[str, ...]
    answers: Annotated[tuple[tuple[ClassIndex, ...], ...], Field(min_length=1)]

    def __post_init__(self) -> None:
        for number, epoch in enumerate(self.answers, start=1):
            _require(len(epoch) == len(self.ids), f"{len(self.ids)} class indices", list(epoch), f"epoch {number}")


@dataclass(frozen=True)
class Fold:
    """A finished fold: `person` left out, `epoch` (from 1) chosen.

    `epochs` is what was written of each, as it was written: at least "epoch" and "loss", besides "val_loss" and
    "val_uf1" where there were validation people. `test_epochs` is there under the published protocol.
    """

    seed: int
    person: Annotated[str, Field(validation_alias="fold")]
    train_n: int
    test_n: int
    validation_people: tuple[str, ...]
    epoch: int
    epochs: tuple[Annotated[dict[str, Any], AfterValidator(_with_loss)], ...]
    test_epochs: EpochAnswers | None
    seconds: Number
    clips_per_s: Number

    def __post_init__(self) -> None:
        _require(self.person not in self.validation_people, "others", self.person, "validation_people")


@dataclass(frozen=True)
class LosoHead:
    """What `loso.json` says; `config` is the folds' training's, in plain values; `class_map` says by dataset in words which
    emotion is which class, where that was a choice."""

    _: KW_ONLY
    schema_version: Literal[1]
    config: Annotated[dict[str, Any], AfterValidator(_with_epochs)]
    scheme: Literal["cde", "sde"]
    protocol: Literal["honest", "published"]
    select: Literal["fixed", "validation"]
    seeds: Annotated[tuple[int, ...], Field(min_length=1), AfterValidator(_different)]
    class_names: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_different)]
    stores: tuple[str, ...]
    pretrain: str | None
    command: str
    class_map: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LosoRun(LosoHead):
    """All that a run's folder says.

    `samples` by id, in their order; `predictions[seed][id]` and `folds[seed][person]` of finished folds alone, every
    seed a key. `missing` lists the (seed, person) of folds that are not finished; `set_aside` counts the predictions
    that were found of those.
    """

    path: Path
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


_HEAD, _SAMPLE, _ANSWER, _FOLD = TypeAdapter(LosoHead), TypeAdapter(Sample), TypeAdapter(FoldAnswer), TypeAdapter(Fold)


def read_run(path: Path | str, allow_partial: bool = False) -> LosoRun:
    """The run in the folder `path`; with `allow_partial` also one that is not finished, or was stopped within a line.

    Raises:
        UsageError: a file is missing or damaged, what it says does not fit together (a sample twice in a seed, a label
            that is not the sample's, a finished fold without all its predictions), or folds are missing and may not.
    """
    folder = Path(path)
    if not (folder / "loso.json").is_file():
        raise UsageError(f"{folder}: expected the folder of a leave-one-subject-out run with loso.json, found none")
    head = _record(_HEAD, folder / "loso.json", (folder / "loso.json").read_bytes())
    names, seeds = head.class_names, head.seeds
    samples = _samples(folder / "samples.jsonl", names)
    people: dict[str, list[str]] = {}
    for sample in samples.values():
        people.setdefault(sample.person, []).append(sample.id)
    folds = _folds(folder / "folds.jsonl", seeds, people, names, allow_partial)
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
        path=folder,
        samples=samples,
        predictions=predictions,
        folds=folds,
        missing=missing,
        set_aside=set_aside,
        **vars(head),
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


def _samples(path: Path, names: tuple[str, ...]) -> dict[str, Sample]:
    samples: dict[str, Sample] = {}
    for where, sample in _lines(_SAMPLE, path, names):
        require(sample.id not in samples, f"{where}: sample {sample.id}", "each sample once", "it twice")
        samples[sample.id] = sample
    require(bool(samples), path, "one sample or more", "none")
    return samples


def _folds(
    path: Path, seeds: tuple[int, ...], people: Mapping[str, list[str]], names: tuple[str, ...], torn: bool
) -> dict[int, dict[str, Fold]]:
    folds: dict[int, dict[str, Fold]] = {seed: {} for seed in seeds}
    for where, fold in _lines(_FOLD, path, names, torn):
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
    for where, one in _lines(_ANSWER, path, names, torn):
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


def _lines(
    kind: TypeAdapter[_Record], path: Path, names: tuple[str, ...], torn: bool = False
) -> Iterator[tuple[str, _Record]]:
    """Where each line's record is, for errors, and the record.

    With `torn`, as of a run that was killed: no file at all says nothing, and a last line without its end is left out.
    """
    if torn and not path.exists():
        return
    if not path.is_file():
        raise UsageError(f"{path}: expected a file of the run, found none")
    *lines, rest = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        yield where, _record(kind, where, line, names)
    require(torn or not rest, f"{path}, line {len(lines) + 1}", "a whole line", "one cut off")


def _record(kind: TypeAdapter[_Record], where: object, text: bytes, names: tuple[str, ...] = ()) -> _Record:
    try:
        return checked_json(kind, text, names)
    except MisfitError as error:
        raise UsageError(f"{where}: {error}") from None

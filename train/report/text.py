"""What a report's page says, in words and rows, with the run's own numbers: made without drawing anything."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train.datasets.source import THREE_CLASSES
from train.loso.predictions import COMPOSITE, LosoRun, Sample
from train.report.figures import PersonScore
from train.report.runs import ScoredRun, loss_in_words
from train.scores.literature import PART_TITLES, PROTOCOL_N

MEASURES: Mapping[str, str] = {"uf1": "UF1", "uar": "UAR", "accuracy": "accuracy"}

_AUGMENTATIONS = (
    "flip", "rotate", "zoom", "shift", "time_jitter", "magnify", "brightness", "contrast", "noise",
    "flow_gains", "flow_noise", "flow_cutout", "flow_elastic",
)  # fmt: skip


@dataclass(frozen=True)
class PeopleOfDataset:
    """A dataset's left-out people, the share answered right falling, and how many of them are small folds."""

    dataset: str
    people: tuple[PersonScore, ...]
    one_clip: int
    one_class: int


def part_title(part: str) -> str:
    """A part's name as papers write it."""
    return PART_TITLES.get(part, part)


def shown_parts(scores: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The parts by name, composite first. With one dataset the composite is that dataset: it is shown once."""
    parts = scores["parts"]
    datasets = in_order(part for part in parts if part != COMPOSITE)
    order = datasets if len(datasets) == 1 else [COMPOSITE, *datasets]
    return {part: parts[part] for part in order}


def in_order(datasets: Iterable[str]) -> list[str]:
    """Names of datasets, those that papers name first and in their order."""
    known = list(PART_TITLES)
    return sorted(set(datasets), key=lambda name: (known.index(name) if name in known else len(known), name))


def loss_of(run: LosoRun) -> str:
    """Which cross-entropy the run was trained with, in words."""
    counts = Counter(sample.label for sample in run.samples.values())
    return loss_in_words(run.config, run.class_names, [counts[c] for c in range(len(run.class_names))])


def whole(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """All samples pooled."""
    return scores["parts"][COMPOSITE]


def score_text(value: float | None) -> str:
    """Three decimals; a dash for what is not known."""
    return "–" if value is None else f"{value:.3f}"


def facts(opened: ScoredRun) -> list[tuple[str, str]]:
    """What the run is, as terms and descriptions."""
    run, config = opened.run, opened.run.config
    classes = Counter(sample.label for sample in run.samples.values())
    folds = [fold for by_person in run.folds.values() for fold in by_person.values()]
    size_px = config.get("size_px", "–")
    average = f"weights averaged by {config['average']:g} a step, " if config.get("average") else ""
    return [
        ("Data", f"{len(run.samples)} clips of {len(run.people)} people: {_datasets(run)}"),
        ("Classes", ", ".join(f"{name} {classes[index]}" for index, name in enumerate(run.class_names))),
        *([("Class map", "; ".join(f"{name}: {words}" for name, words in run.class_map.items()))] if run.class_map else []),
        ("Scheme", _scheme(run)),
        ("Epoch", _choice(run, [fold.epoch for fold in folds])),
        ("Seeds", ", ".join(map(str, run.seeds))),
        ("Folds", f"{opened.folds_done} of {opened.folds} done"),
        ("Network", f"{config.get('variant', 'unknown')}, dropout {config.get('dropout', '–')}"),
        ("Loss", loss_of(run)),
        ("Input", f"{config.get('input', '–')}, {size_px}×{size_px} px, {config.get('colour', '–')}"),
        ("Augmentation", _augmentation(config)),
        ("Adam", f"learning rate {config.get('learning_rate', '–')}, {average}batch {config.get('batch', '–')}"),
        ("Started from", f"the model of {run.pretrain}" if run.pretrain else "random weights"),
        ("Training time", f"{_duration(sum(f.seconds for f in folds))}, {statistics.median(f.clips_per_s for f in folds):.1f} clips/s"),
        ("Clip stores", ", ".join(run.stores)),
    ]  # fmt: skip


def notices(opened: ScoredRun) -> list[str]:
    """What a reader has to know before the first number."""
    run, scored, found = opened.run, opened.scored, []
    if run.missing:
        people = {person for _, person in run.missing}
        found.append(
            f"This run is not complete: {len(run.missing)} of {opened.folds} folds are missing, of {len(people)} people. "
            f"The scores are those of the {len(scored.people)} people who are done with "
            f"{'seeds' if len(scored.seeds) > 1 else 'seed'} {', '.join(map(str, scored.seeds))}, and will change."
        )
    if len(scored.seeds) == 1:
        found.append("One seed: how much the scores scatter is not known. It takes at least three to make a result.")
    odd = not_comparable(run)
    if odd:
        found.append(odd)
    for part, values in shown_parts(opened.scores).items():
        absent = [name for name, score in values["per_class"].items() if not score["n"]]
        if absent:
            found.append(f"{part_title(part)} has no clips of {', '.join(absent)}: left out of UAR, 0 in UF1.")
    return found


def not_comparable(run: LosoRun) -> str | None:
    """Why the published numbers are of another experiment; None when clips and classes are those of MEGC2019."""
    counts = Counter(sample.dataset for sample in run.samples.values())
    strange = in_order(name for name in counts if name not in PROTOCOL_N)
    if any("synth" in name.lower() for name in strange):
        return "Synthetic clips: the published scores are of real micro-expressions and not comparable with these."
    if strange:
        return (
            f"Clips of {', '.join(strange)} are not MEGC2019 data: the published scores are not comparable with these."
        )
    if run.class_names != THREE_CLASSES:
        return (
            f"Classes {', '.join(run.class_names)} are not those of MEGC2019: the published scores are not comparable."
        )
    other = [
        f"{part_title(name)} {counts[name]} for {PROTOCOL_N[name]}"
        for name in in_order(counts)
        if counts[name] != PROTOCOL_N[name]
    ]
    if other:
        return f"Not the clips of MEGC2019 ({', '.join(other)}): the published scores are not comparable with these."
    return None


def people_of(run: LosoRun) -> list[PeopleOfDataset]:
    """The left-out people of each dataset, with the clips answered right, mean over the run's seeds."""
    mine: dict[str, list[Sample]] = {}
    for sample in run.samples.values():
        mine.setdefault(sample.person, []).append(sample)
    found = []
    for dataset in in_order(run.datasets):
        people = []
        for person, samples in mine.items():
            if samples[0].dataset == dataset:
                answers = [run.predictions[seed][sample.id] for seed in run.seeds for sample in samples]
                right = sum(answer.answer == answer.label for answer in answers)
                people.append(PersonScore(person.removeprefix(f"{dataset}/"), right / len(run.seeds), len(samples)))
        folds = [samples for samples in mine.values() if samples[0].dataset == dataset]
        found.append(
            PeopleOfDataset(
                dataset,
                tuple(sorted(people, key=lambda p: (-p.correct / p.n, -p.n, p.name))),
                one_clip=sum(len(samples) == 1 for samples in folds),
                one_class=sum(len({sample.label for sample in samples}) == 1 for samples in folds),
            )
        )
    return found


def missing_by_seed(run: LosoRun) -> list[tuple[int, list[str]]]:
    """Every seed with missing folds, and the people whose folds they are."""
    found: dict[int, list[str]] = {}
    for seed, person in run.missing:
        found.setdefault(seed, []).append(person)
    return [(seed, sorted(people)) for seed, people in sorted(found.items())]


def differences(first: LosoRun, second: LosoRun) -> list[str]:
    """In words, what sets two runs apart besides their names: settings, seeds, scheme, clips."""
    ignored = {"out", "workers", "cache_dir", "backup_steps", "note", "seed"}
    names = [n for n in {**first.config, **second.config} if n not in ignored]
    found = [
        f"{name}: {first.config.get(name, '–')} / {second.config.get(name, '–')}"
        for name in names
        if first.config.get(name) != second.config.get(name)
    ]
    for name in ("scheme", "protocol", "select", "seeds", "pretrain", "class_map"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            found.append(f"{name}: {_plain(one)} / {_plain(other)}")
    if first.samples.keys() != second.samples.keys():
        found.append(f"clips: {len(first.samples)} / {len(second.samples)}, not the same: their scores do not compare")
    return found


def _datasets(run: LosoRun) -> str:
    told = []
    for name in in_order(run.datasets):
        samples = run.part(name)
        told.append(f"{part_title(name)} {len(samples)} ({len({sample.person for sample in samples})} people)")
    return ", ".join(told)


def _scheme(run: LosoRun) -> str:
    if run.scheme == "sde":
        return "leave one subject out, trained on the other subjects of the same dataset (SDE)"
    whatever = ", whatever their dataset (CDE)" if len(run.datasets) > 1 else ""
    return f"leave one subject out, trained on all other subjects{whatever}"


def _choice(run: LosoRun, chosen: Sequence[int]) -> str:
    if run.select == "validation":
        median = statistics.median(chosen)
        return f"chosen on validation people inside each training fold: median {median:g} of {run.epochs}"
    return f"the last of {run.epochs}, fixed in advance"


def _augmentation(config: Mapping[str, Any]) -> str:
    """The transforms of training clips that are on, with their ranges."""
    told = []
    for name in _AUGMENTATIONS:
        value = config.get(name)
        if value is True:
            told.append(name)
        elif isinstance(value, list | tuple) and any(v != 1 for v in value):
            told.append(f"{name} {'–'.join(f'{v:g}' for v in value)}")
        elif isinstance(value, int | float) and value:
            told.append(f"{name.replace('_', ' ')} {value:g}")
    return ", ".join(told) or "none"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def reading(opened: ScoredRun, groups: Sequence[PeopleOfDataset]) -> list[tuple[str, str]]:
    """Terms and what they mean."""
    part, names = whole(opened.scores), opened.run.class_names
    people, n = part["people"], part["n"]
    one_class, one_clip = sum(g.one_class for g in groups), sum(g.one_clip for g in groups)
    accuracy = part["accuracy"]["mean"]
    error = (accuracy * (1 - accuracy) / n) ** 0.5
    most = max(person.n for group in groups for person in group.people)
    told = [
        (
            "Leave one subject out",
            f"Each of the {people} people is tested by a network that never saw them: it was trained on the others from "
            "the start. Testing on a person who was also trained on measures how well faces are remembered.",
        ),
        (
            "UF1 and UAR",
            f"The F1 score and the recall of each class, averaged over the {len(names)} classes so that a rare class "
            "counts as much as a common one. Accuracy counts clips, so it rewards answering the common class.",
        ),
        (
            "Pooled, not averaged over folds",
            "All answers of all people are put into one confusion matrix, and a score is computed from it once. An "
            f"average of one score a person would let a person with a single clip weigh as much as one with {most}.",
        ),
        (
            "Small folds",
            f"Of the {people} people {_people_have(one_class)} clips of one class only and {one_clip} a single clip. A "
            "score of such a fold is 0 or 1 by the luck of a clip or two: look at the bars for who is hard, not for scores.",
        ),
        (
            "Chance",
            "What guessing gets that knows how frequent the classes are and nothing else, by the same rules on the "
            "same clips. A score close to it means that nothing was learnt, however high it looks.",
        ),
        (
            "n and the spread",
            f"With {n} clips the accuracy alone is uncertain by about ± {error:.3f} (one standard error), UF1 and UAR "
            "by more where a class is rare, and clips of one person are alike. The ± behind a score is something else: the standard "
            "deviation over seeds, how much the same training scatters. A difference smaller than either is none.",
        ),
        (
            "Why the published protocol is optimistic",
            "Many papers keep, for every left-out person, the epoch that was best on that very person, count a fold "
            "without mistakes as 1.0, and average over folds. With a few clips a fold and many epochs to choose from, "
            "guesses reach high scores as well: its chance is far above the honest one. Such numbers compare only with "
            "numbers taken alike, and with the chance of the same protocol.",
        ),
    ]
    return told


def _people_have(count: int) -> str:
    return f"{count} has" if count == 1 else f"{count} have"

"""A leave-one-subject-out run from data to scores: every person is tested once a seed by a network that never saw them."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from rich.console import Console

from model.ray_cluster import imported_ray
from train.clips.features import features_key
from train.clips.samples import (
    FoldSplit,
    Samples,
    Scheme,
    leave_one_out,
    load_features,
    open_stores,
    resolve_people,
    run_contract,
    samples_of,
)
from train.clips.store import ClipStore
from train.errors import UsageError, check_type
from train.files import sole_use
from train.fit.pretrained import Pretrained, open_pretrained
from train.fit_config import TrainConfig
from train.loso.fold_job import FoldData, FoldJob, FoldResult, fold_name
from train.loso.pooled_scores import write_scores
from train.loso.ray import ray_folds
from train.loso.run_folder import FoldKey, LosoDir
from train.loso.workers import FoldProgress, Started, default_workers, local_folds
from train.progress import clip_progress

Protocol = Literal["honest", "published"]
Select = Literal["fixed", "validation"]

SCHEMA_VERSION = 1
_NAMED = 5


@dataclass(frozen=True)
class LosoSettings:
    """What makes a leave-one-subject-out run what it is.

    Attributes:
        config: of every fold's training; `seed` is the first seed, `out` the run's folder. Its `validation_share` is
            used with select "validation" only, its own `select` never.
        scheme: train on all other people (cde), or on those of the same dataset (sde).
        protocol: honest; or published, which also keeps the test answers of every epoch, for the published scoring.
        select: the epoch scored: fixed, the last; or validation, the best on people held out inside the fold.
        seeds: how many, counted up from the config's.
        pretrain: a run's folder whose weights every fold starts from.
        threads: of TensorFlow in a fold. The same whatever the folds at a time, so that the answers are the same.

    Raises:
        UsageError: a value is out of range, or the config holds what only a single training run has.
    """

    config: TrainConfig
    scheme: Scheme = "cde"
    protocol: Protocol = "honest"
    select: Select = "fixed"
    seeds: int = 3
    pretrain: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        for name, kind in (
            ("scheme", Scheme),
            ("protocol", Protocol),
            ("select", Select),
            ("seeds", int),
            ("threads", int),
        ):
            check_type(name, getattr(self, name), kind)
        for name in ("seeds", "threads"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: expected an integer of 1 or more, found {getattr(self, name)}")
        if self.config.validation_people:
            raise UsageError(
                "validation_people: expected none, since every fold draws its own with --select validation, found "
                f"{', '.join(self.config.validation_people)}"
            )
        if self.select == "validation" and not self.config.validation_share:
            raise UsageError("validation_share: expected more than 0 with --select validation, found 0")

    @property
    def all_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.config.seed, self.config.seed + self.seeds))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `loso.json` begins."""
        return {
            "config": self.config.to_dict(),
            "scheme": self.scheme,
            "protocol": self.protocol,
            "select": self.select,
            "seeds": list(self.all_seeds),
            "pretrain": self.pretrain,
            "threads": self.threads,
        }


def loso(
    settings: LosoSettings,
    console: Console,
    workers: int = 0,
    ray: str | None = None,
    overwrite: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Runs, or goes on with, all folds of all seeds; returns what the run's `scores.json` says.

    Args:
        workers: folds at a time (0: see `default_workers`; with Ray, as many as the cluster has room for).
        ray: address of a Ray cluster, "local" for one of this machine's own; None: local processes.

    Raises:
        UsageError, StoreError: data, run folder or pretrained run do not fit. TrainError: something failed on the way.
    """
    config = settings.config
    if workers < 0:
        raise UsageError(f"jobs: expected 1 or more, found {workers}")
    if ray:
        imported_ray()
    stores = open_stores(config.data)
    contract, samples = run_contract(config, stores), samples_of(stores)
    excluded = resolve_people(config.exclude_people, samples.people, "--exclude-people")
    kept = sorted(set(samples.people) - excluded)
    config.loss_weights(samples.class_names, [1] * len(samples.class_names))  # do the flags fit the classes?
    pretrained = None
    if settings.pretrain:
        pretrained, differences = open_pretrained(settings.pretrain, config, contract, kept)
        if differences:
            console.print(f"--pretrain: its clips were prepared otherwise: {'; '.join(differences)}", style="yellow")
    splits = _splits(settings, samples, excluded)
    run = LosoDir(config.out)
    keys = [features_key(store, contract) for store in stores]
    with sole_use(run.path):
        resumes = run.begin(
            head_of(settings, samples, keys, command), sample_lines(stores, samples, excluded), overwrite
        )
        done = run.recover({key: [samples.ids[row] for row in split.test] for key, split in splits.items()})
        warn = partial(console.print, style="yellow", highlight=False, soft_wrap=True, markup=False)
        for line in lacking(samples, splits):
            warn(line)
        with clip_progress(console, "preparing clips", len(samples.ids)) as advance:
            features = load_features(stores, contract, config, advance)
        data = FoldData(features.files, samples)
        jobs = [
            _job(settings, split, seed, pretrained)
            for (seed, _), split in splits.items()
            if (seed, split.person) not in done
        ]
        workers = workers or (0 if ray else default_workers(settings.threads))
        console.print(
            _opening(settings, samples, kept, len(splits), len(done), resumes), highlight=False, soft_wrap=True
        )
        if jobs:
            with (
                FoldProgress(console, samples, len(splits), len(done)) as progress,
                closing(_results(ray, data, jobs, workers, progress.started, warn)) as results,
            ):
                for result in results:
                    run.append(result, samples)
                    progress.finished(result)
        return write_scores(run.path)


def _results(
    ray: str | None,
    data: FoldData,
    jobs: Sequence[FoldJob],
    workers: int,
    started: Started,
    told: Callable[[str], object],
) -> Generator[FoldResult]:
    if ray:
        return ray_folds(ray, data, jobs, workers, started, told)
    return local_folds(data, jobs, workers, started)


def _splits(settings: LosoSettings, samples: Samples, excluded: set[str]) -> dict[FoldKey, FoldSplit]:
    """Every fold of every seed, in that order."""
    share = settings.config.validation_share if settings.select == "validation" else 0.0
    return {
        (seed, split.person): split
        for seed in settings.all_seeds
        for split in leave_one_out(samples.people, settings.scheme, share, seed, excluded)
    }


def _job(settings: LosoSettings, split: FoldSplit, seed: int, pretrained: Pretrained | None) -> FoldJob:
    # With select "fixed" there are no validation rows, and the last epoch is kept.
    config = replace(settings.config, seed=seed, select="validation")
    return FoldJob(config, split, settings.protocol == "published", pretrained, settings.threads)


def head_of(settings: LosoSettings, samples: Samples, keys: Sequence[str], command: str) -> dict[str, Any]:
    """`loso.json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        **settings.to_dict(),
        "class_names": list(samples.class_names),
        **({"class_map": dict(samples.class_map)} if samples.class_map else {}),
        "stores": list(settings.config.data),
        "features": list(keys),
        "command": command,
    }


def sample_lines(stores: Sequence[ClipStore], samples: Samples, excluded: set[str]) -> list[dict[str, Any]]:
    """`samples.jsonl`: the clips that are tested, in the order of the data."""
    places = ((str(store.path), row) for store in stores for row in range(len(store)))
    lines = (
        {
            "id": samples.ids[index],
            "person": samples.people[index],
            "dataset": samples.people[index].split("/", 1)[0],
            "label": samples.class_names[samples.labels[index]],
            "store": store,
            "row": row,
        }
        for index, (store, row) in enumerate(places)
    )
    return [line for line in lines if line["person"] not in excluded]


def lacking(samples: Samples, splits: Mapping[FoldKey, FoldSplit]) -> list[str]:
    """In words, which folds have no clip of a class to train on, or to choose the epoch on."""
    told = []
    for part, so in (
        ("train", "training people show none of {}: it cannot be learnt there"),
        ("validation", "validation people show none of {}: UF1 counts 0 for it in choosing the epoch"),
    ):
        for index, name in enumerate(samples.class_names):
            rows = {fold_name(*key): getattr(split, part) for key, split in splits.items()}
            without = [fold for fold, of in rows.items() if len(of) and not samples.counts(of)[index]]
            if without:
                shown = ", ".join(without[:_NAMED]) + (", …" if len(without) > _NAMED else "")
                told.append(f"{len(without)} of {len(splits)} folds: the {so.format(name)} ({shown})")
    return told


def _opening(
    settings: LosoSettings, samples: Samples, kept: Sequence[str], folds: int, done: int, resumes: bool
) -> str:
    config = settings.config
    clips = sum(person in kept for person in samples.people)
    chosen = f"epoch chosen on {config.validation_share:g} of the people" if settings.select == "validation" else ""
    parts = (
        f"{'going on with' if resumes else 'leaving one out in'} {config.out}: {clips} clips of {len(kept)} people",
        f"{folds} folds ({len(settings.all_seeds)} seed{'s' if settings.seeds > 1 else ''}), {done} done",
        settings.scheme,
        settings.protocol,
        f"{config.epochs} epoch{'s' if config.epochs > 1 else ''}" + (f", {chosen}" if chosen else ""),
        f"classes {', '.join(samples.class_names)}",
    )
    return "; ".join(parts)

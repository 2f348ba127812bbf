"""Adapting a model to few clips, from stores to a finished run: scored by leave-one-person-out against the model before, then
trained on everybody for as many epochs as were best in the folds.

The run's folder has what `python -m export` takes; besides `folds`, a leave-one-subject-out run, `base`, the network before, and
`before.jsonl`, its answers.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from model.contract import NEUTRAL
from model.quiet import native_log_held_back
from train.adapt.adapt_base import AdaptBase, base_file, open_base
from train.adapt.adapt_job import AdaptJob, AdaptRecipe
from train.adapt.before_after import before_after
from train.clips.features import features_key
from train.clips.samples import (
    FeatureRows,
    FoldSplit,
    Samples,
    leave_one_out,
    load_features,
    open_stores,
    resolve_people,
    run_contract,
    samples_of,
)
from train.clips.store import ClipStore
from train.errors import UsageError
from train.files import RunDir, sole_use, write_text, write_with
from train.fit.pretrained import Pretrained
from train.fit_config import TrainConfig
from train.loso.fold_job import FoldData, FoldJob, FoldResult
from train.loso.loso import LosoSettings, head_of, lacking, sample_lines
from train.loso.pooled_scores import write_scores
from train.loso.predictions import read_run
from train.loso.run_folder import LosoDir
from train.loso.workers import FoldProgress, default_workers, local_folds
from train.progress import clip_progress
from train.scores.evaluate import require_fit

_PARITY_CLIPS = 8
_EVERYBODY = "everybody"
_NOBODY = np.zeros(0, np.int64)


@dataclass(frozen=True)
class AdaptSettings:
    """`base`: "bundled", a run's folder, or an exported model. `training`: fields of `TrainConfig` that are asked for.
    `threads`: of TensorFlow in a fold; the same whatever the folds at a time."""

    data: tuple[str, ...]
    out: str
    base: str
    recipe: AdaptRecipe
    training: Mapping[str, Any]
    threads: int = 1


def adapt(
    settings: AdaptSettings, console: Console, workers: int = 0, overwrite: bool = False, command: str = ""
) -> dict[str, Any]:
    """Runs, or goes on with, an adaptation; returns what its `metrics.json` says (see `_AdaptRun.finish`).

    Raises:
        UsageError, StoreError: data, base or run folder do not fit. TrainError: something failed on the way.
    """
    base_file(settings.base)
    stores = open_stores(settings.data)
    samples = _known_units(samples_of(stores))
    excluded = resolve_people(settings.training.get("exclude_people", ()), samples.people, "--exclude-people")
    base = open_base(settings.base, sorted(set(samples.people) - excluded))
    config = _config(settings, base, stores)
    folds = leave_one_out(samples.people, "cde", config.validation_share, config.seed, excluded)
    files = RunDir(settings.out)
    with sole_use(files.path):
        resumes = files.begin(config, overwrite)
        with clip_progress(console, "preparing clips", len(samples.ids)) as advance:
            features = load_features(stores, run_contract(config, stores), config, advance)
        files.record_data(_data_facts(samples, folds))
        pretrained = base.save(files.path / "base")
        run = _AdaptRun(settings, config, base, pretrained, FoldData(features.files, samples), folds, files)
        console.print(run.opening(resumes), highlight=False, soft_wrap=True)
        head = head_of(run.loso, samples, [features_key(store, base.contract) for store in stores], command)
        asked = {"adaptation": asdict(settings.recipe) | {"base": base.sha256}}
        run.folds(head | asked, sample_lines(stores, samples, excluded), console, workers, overwrite)
        return run.finish(features, command)


def _config(settings: AdaptSettings, base: AdaptBase, stores: Sequence[ClipStore]) -> TrainConfig:
    """Raises UsageError where the stores' clips are not what the base takes."""
    for store in stores:
        require_fit(store, base.contract)
    config = base.config(settings.data, settings.out, {**settings.training, "epochs": settings.recipe.epochs})
    frames = run_contract(config, stores).frames
    if frames != base.contract.frames:
        raise UsageError(
            f"{stores[0].path}: frames: the model expects {base.contract.frames} at {base.contract.fps:g} a second, found {frames}"
        )
    return config


def _known_units(samples: Samples) -> Samples:
    """Nobody said that no action unit acts in a rejected candidate: of neutral clips without any, nothing is known."""
    silent = np.flatnonzero(
        (samples.labels == samples.class_names.index(NEUTRAL)) & ~samples.units.any(axis=1)
        if NEUTRAL in samples.class_names
        else np.zeros(len(samples.ids), bool)
    )
    units = samples.units.copy()
    units[silent] = np.nan
    return replace(samples, units=units)


@dataclass(frozen=True, eq=False)
class _AdaptRun:
    """`people`: a fold for each."""

    settings: AdaptSettings
    config: TrainConfig
    base: AdaptBase
    pretrained: Pretrained
    data: FoldData
    people: tuple[FoldSplit, ...]
    files: RunDir

    @property
    def loso(self) -> LosoSettings:
        return LosoSettings(
            self.config, select="validation", seeds=1, pretrain=self.base.name, threads=self.settings.threads
        )

    @property
    def rows(self) -> NDArray[np.int64]:
        """Of everybody's clips, in the order of the data."""
        return np.sort(np.concatenate([split.test for split in self.people]))

    def opening(self, resumes: bool) -> str:
        recipe = self.settings.recipe
        return (
            f"{'going on with' if resumes else 'adapting'} {self.base.name} in {self.files.path}: {len(self.rows)} clips of "
            f"{len(self.people)} people, each left out once; {recipe.head_epochs} epochs of the head, {recipe.all_epochs} of all "
            "layers at most"
        )

    def folds(
        self,
        head: Mapping[str, Any],
        lines: Sequence[Mapping[str, Any]],
        console: Console,
        workers: int,
        overwrite: bool,
    ) -> None:
        """Everybody left out once; those who were in an earlier call are not again."""
        folder, samples, seed = LosoDir(self.files.path / "folds"), self.data.samples, self.config.seed
        folder.scores.unlink(missing_ok=True)  # of a run that was killed before its own last file
        folder.begin(head, lines, overwrite)
        splits = {(seed, split.person): split for split in self.people}
        done = folder.recover({key: [samples.ids[row] for row in split.test] for key, split in splits.items()})
        for line in lacking(samples, splits):
            console.print(line, style="yellow", highlight=False, soft_wrap=True, markup=False)
        recipe = self.settings.recipe
        jobs = [
            self._job(split, recipe.head_epochs, recipe.all_epochs) for key, split in splits.items() if key not in done
        ]
        if not jobs:
            return
        workers = workers or default_workers(self.settings.threads)
        with (
            FoldProgress(console, samples, len(splits), len(done)) as progress,
            closing(local_folds(self.data, jobs, workers, progress.started, run_adapt_fold)) as results,
        ):
            for result in results:
                folder.append(result, samples)
                progress.finished(result)

    def finish(self, features: FeatureRows, command: str) -> dict[str, Any]:
        """Scores both models, trains on everybody, writes the results, `metrics.json` last.

        It holds the scores by leave-one-person-out as `train.scores.metrics.summary` has them, `before` those of the model before,
        `difference`, `finding`, `lacking` and `people` as `before_after` says, and `head_epochs` and `all_epochs` of the training
        on everybody. Both are 0 where the folds were best served by the model as it was: no model is written then.
        """
        folder, samples, rows = LosoDir(self.files.path / "folds"), self.data.samples, self.rows
        of_folds = read_run(folder.path)
        answers = of_folds.predictions[self.config.seed]
        after = np.array([answers[samples.ids[row]].answer for row in rows])
        before = self._run(self._job(FoldSplit("before", _NOBODY, _NOBODY, rows, ()), 0, 0))
        self._write_before(before)
        told = before_after(_of_rows(samples, rows), before.probabilities.argmax(axis=1), after)
        chosen = [of_folds.folds[self.config.seed][person].epoch for person in of_folds.people]
        head_epochs, all_epochs = self.settings.recipe.cut(int(np.median(chosen)))
        if head_epochs + all_epochs:
            split = FoldSplit(_EVERYBODY, rows, _NOBODY, _NOBODY, ())
            self._run(replace(self._job(split, head_epochs, all_epochs), keep_in=str(self.files.model)))
            kept = features[rows[np.linspace(0, len(rows) - 1, min(_PARITY_CLIPS, len(rows))).astype(int)]]
            write_with(self.files.samples, lambda path: np.save(path, kept))
            self._write_contract(told, head_epochs, all_epochs, command)
        metrics = {
            **told.pop("after"),
            **told,
            "base": {"name": self.base.name, "sha256": self.base.sha256},
            "fold_epochs": chosen,
            "head_epochs": head_epochs,
            "all_epochs": all_epochs,
            "command": command,
        }
        write_scores(folder.path)
        write_text(self.files.metrics, json.dumps(metrics, indent=2) + "\n")
        return metrics

    def _job(self, split: FoldSplit, head_epochs: int, all_epochs: int) -> AdaptJob:
        return AdaptJob(
            config=replace(self.config, select="validation"),  # the last epoch where there is nobody to validate on
            split=split,
            pretrained=self.pretrained,
            threads=self.settings.threads,
            scaling=self.base.scaling,
            head_epochs=head_epochs,
            all_epochs=all_epochs,
            all_learning_rate=self.settings.recipe.all_learning_rate,
        )

    def _run(self, job: AdaptJob) -> FoldResult:
        """In a process of its own, as the folds, whose TensorFlow repeats itself."""
        with closing(local_folds(self.data, [job], 1, lambda _: None, run_adapt_fold)) as results:
            return next(results)

    def _write_before(self, before: FoldResult) -> None:
        samples, names = self.data.samples, self.data.samples.class_names
        lines = (
            {
                "id": samples.ids[row],
                "person": samples.people[row],
                "label": names[samples.labels[row]],
                "probabilities": dict(zip(names, (round(float(p), 6) for p in answer), strict=True)),
            }
            for row, answer in zip(before.rows, before.probabilities, strict=True)
        )
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(self.files.path / "before.jsonl", text)

    def _write_contract(self, told: Mapping[str, Any], head_epochs: int, all_epochs: int, command: str) -> None:
        after = told["after"]
        scores = {name: after[name] for name in ("uf1", "uar", "accuracy", "n", "chance_uf1")} | {
            "validation_people": told["people"],
            "by": "leave one person out; the model itself was trained on all of them",
            "before": {name: told["before"][name] for name in ("uf1", "uar", "accuracy")},
            "difference": told["difference"],
            "finding": told["finding"],
            "command": command,
        }
        contract = replace(
            self.base.contract,
            training_data=self._words(head_epochs, all_epochs),
            scores=scores,
            calibration=None,  # of the network before
        )
        write_text(self.files.contract, json.dumps(json.loads(contract.to_json()), indent=2) + "\n")

    def _words(self, head_epochs: int, all_epochs: int) -> str:
        """What the model was trained on: the base, and what was added to it."""
        samples, rows, base = self.data.samples, self.rows, self.base
        classes = ", ".join(f"{n} {name}" for name, n in zip(samples.class_names, samples.counts(rows), strict=True))
        sources = ", ".join(sorted({samples.people[row].split("/", 1)[0] for row in rows}))
        return (
            f"{base.contract.training_data.rstrip('. ')}. Adapted on {datetime.now().date().isoformat()} from {base.name} (SHA-256 {base.sha256}) "
            f"with {len(rows)} clips of {len(self.people)} people from {sources} ({classes}): {head_epochs} epochs of the head, "
            f"{all_epochs} of all layers, as many as were best in folds over people"
        )


def run_adapt_fold(data: FoldData, job: FoldJob) -> FoldResult:
    """An `AdaptJob` in a process for folds."""
    with native_log_held_back():
        from train.adapt.adapt_fold import adapt_fold
    return adapt_fold(data, cast(AdaptJob, job))


def _of_rows(samples: Samples, rows: NDArray[np.int64]) -> Samples:
    """These rows alone."""
    return replace(
        samples,
        ids=tuple(samples.ids[row] for row in rows),
        people=tuple(samples.people[row] for row in rows),
        labels=samples.labels[rows],
        peaks_px=tuple(samples.peaks_px[row] for row in rows),
        units=samples.units[rows],
    )


def _data_facts(samples: Samples, folds: Sequence[FoldSplit]) -> dict[str, Any]:
    """`data.json`, as of other runs: who was trained on, so that nobody is tested with this model who is among them."""
    rows = np.sort(np.concatenate([split.test for split in folds]))
    classes = dict(zip(samples.class_names, samples.counts(rows), strict=True))
    nobody = {"clips": 0, "people": [], "classes": dict.fromkeys(samples.class_names, 0)}
    return {
        "train": {"clips": len(rows), "people": samples.people_of(rows), "classes": classes},
        "validation": nobody,
        "ids": [samples.ids[row] for row in rows],
    }

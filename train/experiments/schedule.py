"""Runs the rows of a spec that are not finished, seed by seed, and keeps what they answer."""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from train.clips.samples import open_stores, run_contract, samples_of, split_by_people
from train.config_file import config_from
from train.errors import UsageError
from train.experiments.kinds import KINDS
from train.experiments.rows import Answers, RowAnswers, RowTask
from train.experiments.spec import Spec, SpecRow
from train.files import parsed_json, write_text
from train.fit_config import TrainConfig

_KEPT_VERSION = 1


@dataclass(frozen=True)
class SchedulePlan:
    """What is to be run.

    Attributes:
        spec: rows and base. base: settings of the command line (data, people, workers, cache_dir), which win over the
            spec's base. out: folder of everything. test: stores to answer as well.
        rows, seeds: only these; empty for all. The table shows whatever is finished.
    """

    spec: Spec
    base: Mapping[str, Any]
    out: Path
    test: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        known = [row.name for row in self.spec.rows]
        unknown = [name for name in self.rows if name not in known]
        if unknown:
            raise UsageError(f"--rows: expected some of {', '.join(known)}, found {unknown[0]!r}")
        if self.seeds and not any(self.chosen(row) for row in self.spec.rows):
            raise UsageError(f"--seeds: expected some of the spec's, found {', '.join(map(str, self.seeds))}")

    def config(self, row: SpecRow, seed: int) -> TrainConfig:
        return row.config({**self.spec.base, **self.base}, self.folder(row, seed), seed)

    def folder(self, row: SpecRow, seed: int) -> Path:
        """For what the row's kind writes with this seed."""
        return self.out / row.name / f"seed-{seed}"

    def kept(self, row: SpecRow, seed: int) -> Path:
        """The file with what the row answered."""
        return self.out / row.name / f"seed-{seed}.json"

    def task(self, row: SpecRow, seed: int, console: Console, command: str = "") -> RowTask:
        return RowTask(self.config(row, seed), row.settings, self.test, console, command)

    def chosen(self, row: SpecRow) -> tuple[int, ...]:
        """The seeds of this row that are to be run now."""
        wanted = not self.rows or row.name in self.rows
        return tuple(seed for seed in row.seeds if wanted and (not self.seeds or seed in self.seeds))


@dataclass(frozen=True, eq=False)
class Finished:
    """A row with one seed that has been answered; `seconds` is how long that took in the session that finished it."""

    row: SpecRow
    config: TrainConfig
    answers: RowAnswers
    seconds: float


def run_rows(plan: SchedulePlan, console: Console, overwrite: bool = False, command: str = "") -> None:
    """Answers what is not finished among the chosen rows and seeds.

    Raises:
        UsageError, StoreError: data, spec or folder do not fit; people of a test store are in the training data.
        TrainError: something failed on the way; what was finished before is kept.
    """
    _check(plan)
    tasks = [(row, seed) for row in plan.spec.rows for seed in plan.chosen(row)]
    if overwrite:
        for row, seed in tasks:
            plan.kept(row, seed).unlink(missing_ok=True)
            shutil.rmtree(plan.folder(row, seed), ignore_errors=True)
    waiting = [(row, seed) for row, seed in tasks if read_finished(plan, row, seed) is None]
    digests = _digests(plan)
    for number, (row, seed) in enumerate(waiting, start=1):
        console.print(f"{row.name}, seed {seed} ({number} of {len(waiting)})", style="bold", highlight=False)
        started = time.monotonic()
        task = plan.task(row, seed, console, command)
        found = KINDS[row.kind].answers(task)
        _require_all_clips(plan, row, task, found)
        kept = {
            "version": _KEPT_VERSION,
            "kind": row.kind,
            "config": task.config.to_dict(),
            "settings": dict(row.settings),
            "stores": digests,
            "parameters": found.parameters,
            "seconds": round(time.monotonic() - started, 1),
            "validation": _plain(found.validation),
            "test": {path: _plain(part) for path, part in found.test.items()},
        }
        plan.kept(row, seed).parent.mkdir(parents=True, exist_ok=True)
        write_text(plan.kept(row, seed), json.dumps(kept) + "\n")


def read_finished(plan: SchedulePlan, row: SpecRow, seed: int) -> Finished | None:
    """What is kept of a row and seed; None where nothing is, or not yet of all test stores.

    Raises:
        UsageError: it was made with other settings or clips.
    """
    path = plan.kept(row, seed)
    if not path.is_file():
        return None
    config = plan.config(row, seed)
    try:
        kept = parsed_json(path.read_text(encoding="utf-8"))
        changed = list(config.differences(config_from(kept["config"])))
        changed += ["kind"] if kept["kind"] != row.kind else []
        changed += ["settings"] if kept["settings"] != dict(row.settings) else []
        now = _digests(plan)
        changed += [f"clips of {name}" for name, old in kept["stores"].items() if now.get(name, old) != old]
        test = {name: _answers(part) for name, part in kept["test"].items()}
        found = RowAnswers(kept["parameters"], _answers(kept["validation"]), test)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: expected a row's answers, found something else ({error}); add --overwrite"
        ) from error
    if changed:
        raise UsageError(
            f"{path}: was made with other settings ({', '.join(changed)}); choose another --out, or add --overwrite"
        )
    return Finished(row, config, found, kept["seconds"]) if set(plan.test) <= set(test) else None


def _check(plan: SchedulePlan) -> None:
    """Everything that could be wrong with any row, before the first is trained for minutes."""
    if plan.out.exists() and not plan.out.is_dir():
        raise UsageError(f"{plan.out}: expected a folder for the experiments, found a file")
    for row in plan.spec.rows:
        for seed in row.seeds:
            config = plan.config(row, seed)
        stores = open_stores(config.data)
        try:
            run_contract(config, stores)
        except UsageError as error:
            raise UsageError(f"row {row.name}: {error}") from error
        samples = samples_of(stores)
        split = split_by_people(samples, config)
        if not len(split.validation):
            raise UsageError(f"row {row.name}: expected validation people to compare rows on, found none")
        seen = {*samples.people_of(split.train), *samples.people_of(split.validation)}
        for path in plan.test:
            both = sorted(seen & set(samples_of(open_stores((path,))).people))
            if both:
                raise UsageError(
                    f"--test {path}: expected people that no row trains or chooses on, found {', '.join(both[:6])}; "
                    "leave them out of the data with --exclude-people"
                )


def _require_all_clips(plan: SchedulePlan, row: SpecRow, task: RowTask, found: RowAnswers) -> None:
    samples = samples_of(open_stores(task.config.data))
    wanted = {samples.ids[index] for index in split_by_people(samples, task.config).validation}
    parts = [("validation", wanted, found.validation)]
    parts += [(path, set(samples_of(open_stores((path,))).ids), found.test[path]) for path in plan.test]
    for what, ids, answers in parts:
        if set(answers.ids) != ids:
            raise UsageError(f"row {row.name}: answers on {what}: expected {len(ids)} clips, found {len(answers.ids)}")


def _digests(plan: SchedulePlan) -> dict[str, str]:
    """Of every store: a hash of what it says of itself and of its clips."""
    paths: Sequence[str] = [*plan.base["data"], *plan.test]
    return {path: _digest(Path(path)) for path in paths}


def _digest(store: Path) -> str:
    found = hashlib.sha256()
    for name in ("manifest.json", "clips.jsonl"):
        found.update((store / name).read_bytes())
    return found.hexdigest()[:16]


def _plain(answers: Answers) -> dict[str, Any]:
    return {"ids": list(answers.ids), "probabilities": np.round(answers.probabilities, 6).tolist()}


def _answers(raw: Mapping[str, Any]) -> Answers:
    return Answers(tuple(raw["ids"]), np.array(raw["probabilities"], np.float32))

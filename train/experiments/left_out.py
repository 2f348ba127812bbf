"""A spec's rows by leave-one-subject-out: each a run of `train loso`, alike but for what its row says, then the table."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from model.variants import VARIANTS
from train.clips.features import features_key
from train.clips.samples import open_stores, run_contract
from train.clips.store import ClipStore
from train.config_file import config_from
from train.errors import UsageError
from train.experiments.left_out_rows import read_rows, ticks_of, title_of
from train.experiments.left_out_table import left_out_facts, markdown
from train.experiments.spec import DEFAULT_KIND, Spec, SpecRow
from train.files import other_files, parsed_json, write_text
from train.loso.loso import LosoSettings, loso
from train.loso.run_folder import LosoDir, run_differences

FACTS, TABLE, PICTURE = "ablation.json", "ablation.md", "ablation.png"
"""Beside the rows' folders; the first is written last."""
_FEATURES = "features"
_OF_LOSO = ("scheme", "protocol", "select")


@dataclass(frozen=True)
class LeftOutPlan:
    """What is to be run.

    Attributes:
        spec: the rows. base: of every row, but for what the row says and the folder, which is one in `base.config.out`.
        names: only these rows, in this order; empty for all. The first is what the others are compared with.

    Raises:
        UsageError: a row is unknown, named twice, or of another kind; or the base is of one row alone.
    """

    spec: Spec
    base: LosoSettings
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: Spec, base: Mapping[str, Any], threads: int, names: tuple[str, ...]) -> Self:
        """As the spec says; `base`, settings of a `TrainConfig`, win over the spec's."""
        loso, seeds = spec.loso or {}, spec.rows[0].seeds
        unknown = [name for name in loso if name not in _OF_LOSO]
        if unknown:
            raise UsageError(f"{spec.title}: loso: {unknown[0]}: expected one of {', '.join(_OF_LOSO)}")
        if seeds != tuple(range(seeds[0], seeds[0] + len(seeds))):
            raise UsageError(f"{spec.title}: seeds: with loso: expected one after the other, found {list(seeds)}")
        config = config_from({**spec.base, **base, "seed": seeds[0]})
        return cls(spec, LosoSettings(config, **loso, seeds=len(seeds), threads=threads), names)

    def __post_init__(self) -> None:
        for row in self.spec.rows:
            if row.kind != DEFAULT_KIND or row.settings or row.seeds != self.spec.rows[0].seeds:
                raise UsageError(f"row {row.name}: with loso: expected no kind, settings or seeds of its own")
        known = [row.name for row in self.spec.rows]
        if not set(self.names) <= set(known) or len(set(self.names)) < len(self.names):
            found = ", ".join(self.names)
            raise UsageError(f"--rows: expected some of {', '.join(known)}, each once, found {found}")
        if self.base.pretrain:
            raise UsageError(
                "--pretrain: expected none, since a pretrained network fits one row alone; use `python -m train loso`"
            )

    @property
    def out(self) -> Path:
        return Path(self.base.config.out)

    @property
    def rows(self) -> tuple[SpecRow, ...]:
        by_name = {row.name: row for row in self.spec.rows}
        return tuple(by_name[name] for name in self.names) or self.spec.rows

    def settings(self, row: SpecRow, cache_dir: str | None = None) -> LosoSettings:
        """Of one row's run; raises UsageError that names the row."""
        own = {"out": str(self.out / row.name), "cache_dir": cache_dir}
        try:
            return replace(self.base, config=config_from({**self.base.config.to_dict(), **row.overrides, **own}))
        except UsageError as error:
            raise UsageError(f"row {row.name}: {error}") from error


def run_left_out(
    plan: LeftOutPlan,
    console: Console,
    workers: int = 0,
    ray: str | None = None,
    overwrite: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Trains the rows that are not finished, writes the table, and returns what its JSON says.

    Args:
        workers, ray: as of `train.loso.loso.loso`. overwrite: train finished rows again.

    Raises:
        UsageError, StoreError: data or folder do not fit, or a row there was made otherwise. TrainError: a fold failed.
    """
    _require_free(plan)
    config = plan.base.config
    stores = open_stores(config.data)
    cache_dir = config.cache_dir or _shared_cache(stores, plan.out)
    rows = {row.name: plan.settings(row, cache_dir) for row in plan.rows}
    # All rows before the first is trained: what does not fit should not turn up hours later.
    finished = [] if overwrite else [name for name, settings in rows.items() if _is_finished(settings, stores)]
    for number, (row, settings) in enumerate(zip(plan.rows, rows.values(), strict=True), start=1):
        done = ", finished before" if row.name in finished else ""
        ticks = ticks_of(VARIANTS[settings.config.variant], settings.config.class_weights != "none")
        told = f"row {number} of {len(rows)}: {row.name} ({row.about or title_of(ticks)}){done}"
        console.print(told, style="bold", highlight=False, soft_wrap=True)
        if not done:
            loso(settings, console, workers, ray, overwrite, command)
    return write_table(plan.out, plan.spec.title, plan.rows, command)


def write_table(folder: Path, title: str, rows: Sequence[SpecRow], command: str) -> dict[str, Any]:
    """Makes the table of the finished rows in the folder, as JSON, Markdown and PNG; returns what the JSON holds.

    Raises:
        UsageError: a row is missing, unfinished, or not made like the others.
    """
    from train.charts import write_png  # loads matplotlib
    from train.experiments.drawing import left_out_figure

    facts = left_out_facts(title, read_rows(folder, rows), command)
    write_png(left_out_figure(facts), folder / PICTURE)
    write_text(folder / TABLE, markdown(facts))
    write_text(folder / FACTS, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    return facts


def _require_free(plan: LeftOutPlan) -> None:
    """Raises UsageError when there is something else than such a comparison."""
    if plan.out.exists() and not plan.out.is_dir():
        raise UsageError(f"{plan.out}: expected a folder for the ablation, found a file")
    known = {*(row.name for row in plan.spec.rows), FACTS, TABLE, PICTURE, _FEATURES, "report"}
    others = other_files(plan.out, known)
    if others:
        raise UsageError(
            f"{plan.out}: expected an empty folder or an ablation, found other files ({', '.join(others[:3])}); "
            "choose another --out"
        )


def _shared_cache(stores: Sequence[ClipStore], out: Path) -> str | None:
    """Where prepared clips are kept when not beside the stores: once, not in every row's folder."""
    return None if all(os.access(store.path, os.W_OK) for store in stores) else str(out / _FEATURES)


def _is_finished(row: LosoSettings, stores: Sequence[ClipStore]) -> bool:
    """Whether the row's folder holds a finished run of these settings; False when it holds none, or an unfinished one.

    Raises:
        UsageError: it holds a run of other settings or clips.
    """
    run = LosoDir(row.config.out)
    keys = [features_key(store, run_contract(row.config, stores)) for store in stores]
    if not run.settings.is_file():
        return False
    try:
        before = parsed_json(run.settings.read_text(encoding="utf-8"))
        changed = run_differences(before, row.to_dict() | {"features": keys})
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(
            f"{run.settings}: expected a run's settings, found something else ({error}); choose another --out, or add --overwrite"
        ) from error
    if changed:
        raise UsageError(
            f"{run.path}: holds a row made with other settings ({'; '.join(changed)}); choose another --out, or add --overwrite"
        )
    return run.scores.is_file()

"""The ablation: every row of the table by leave-one-subject-out, alike but for its variant and loss, then the table."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from model.variants import VARIANTS
from train.ablation.rows import read_rows, ticks_of, title_of
from train.ablation.table import ablation_facts, markdown
from train.clips.features import features_key
from train.clips.samples import open_stores, run_contract
from train.clips.store import ClipStore
from train.errors import UsageError
from train.files import other_files, parsed_json, write_text
from train.loso.loso import LosoSettings, loso
from train.loso.run_folder import LosoDir, run_differences


class AblationDir:
    """Paths of an ablation's files: a run's folder for every row, and the table, which is written last."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.facts = self.path / "ablation.json"
        self.markdown = self.path / "ablation.md"
        self.picture = self.path / "ablation.png"
        self.features = self.path / "features"

    def row(self, name: str) -> Path:
        return self.path / name

    def require_free(self) -> None:
        """Raises UsageError when there is something else than an ablation."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: expected a folder for the ablation, found a file")
        known = {*VARIANTS, "features", "report", *(p.name for p in (self.facts, self.markdown, self.picture))}
        others = other_files(self.path, known)
        if others:
            raise UsageError(
                f"{self.path}: expected an empty folder or an ablation, found other files ({', '.join(others[:3])}); "
                "choose another --out"
            )


@dataclass(frozen=True)
class AblationSettings:
    """What makes an ablation what it is.

    Attributes:
        base: of every row, but for the variant, the loss and the folder, which is one in `base.config.out`. Its class
            weights are those of the rows with a weighted loss; the others have none.
        rows: names of variants, in the order of the table; the first is what the others are compared with.

    Raises:
        UsageError: a row is unknown or named twice, or rows would not differ as their names say.
    """

    base: LosoSettings
    rows: tuple[str, ...] = tuple(VARIANTS)

    def __post_init__(self) -> None:
        unknown = [name for name in self.rows if name not in VARIANTS]
        if unknown or not self.rows or len(set(self.rows)) < len(self.rows):
            found = ", ".join(self.rows) or "none"
            raise UsageError(f"--rows: expected some of {', '.join(VARIANTS)}, each once, found {found}")
        if self.base.pretrain:
            raise UsageError(
                "--pretrain: expected none, since a pretrained network fits one row alone; use `python -m train loso`"
            )
        if self.base.config.class_weights == "none" and any(VARIANTS[name].weighted_loss for name in self.rows):
            raise UsageError("--class-weights: expected weights for the rows with a weighted loss, found 'none'")

    def row(self, name: str, cache_dir: str | None) -> LosoSettings:
        """Of one row's run."""
        config = self.base.config
        own: dict[str, Any] = {"variant": name, "out": str(Path(config.out) / name), "cache_dir": cache_dir}
        if not VARIANTS[name].weighted_loss:
            own["class_weights"] = "none"
        return replace(self.base, config=replace(config, **own))


def ablate(
    settings: AblationSettings,
    console: Console,
    workers: int = 0,
    ray: str | None = None,
    overwrite: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Trains the rows that are not finished, writes the table, and returns what its `ablation.json` says.

    Args:
        workers, ray: as of `train.loso.loso.loso`. overwrite: train finished rows again.

    Raises:
        UsageError, StoreError: data or folder do not fit, or a row there was made otherwise. TrainError: a fold failed.
    """
    config = settings.base.config
    folder = AblationDir(config.out)
    folder.require_free()
    stores = open_stores(config.data)
    keys = [features_key(store, run_contract(config, stores)) for store in stores]
    cache_dir = config.cache_dir or _shared_cache(stores, folder)
    rows = {name: settings.row(name, cache_dir) for name in settings.rows}
    # All rows before the first is trained: what does not fit should not turn up hours later.
    finished = [] if overwrite else [name for name, row in rows.items() if _is_finished(row, keys)]
    for number, (name, row) in enumerate(rows.items(), start=1):
        done = ", finished before" if name in finished else ""
        told = f"row {number} of {len(rows)}: {name} ({title_of(ticks_of(VARIANTS[name]))}){done}"
        console.print(told, style="bold", highlight=False, soft_wrap=True)
        if not done:
            loso(row, console, workers, ray, overwrite, command)
    return write_table(folder, settings.rows, command)


def write_table(folder: AblationDir, names: Sequence[str], command: str) -> dict[str, Any]:
    """Makes the table of the finished rows in the folder, as JSON, Markdown and PNG; returns what the JSON holds.

    Raises:
        UsageError: a row is missing, unfinished, or not made like the others.
    """
    from train.ablation.figure import draw_ablation  # loads matplotlib

    facts = ablation_facts(read_rows(folder.path, names), command)
    draw_ablation(facts, folder.picture)
    write_text(folder.markdown, markdown(facts))
    write_text(folder.facts, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    return facts


def _shared_cache(stores: Sequence[ClipStore], folder: AblationDir) -> str | None:
    """Where prepared clips are kept when not beside the stores: once, not in every row's folder."""
    return None if all(os.access(store.path, os.W_OK) for store in stores) else str(folder.features)


def _is_finished(row: LosoSettings, keys: Sequence[str]) -> bool:
    """Whether the row's folder holds a finished run of these settings; False when it holds none, or an unfinished one.

    Raises:
        UsageError: it holds a run of other settings or clips.
    """
    run = LosoDir(row.config.out)
    if not run.settings.is_file():
        return False
    try:
        before = parsed_json(run.settings.read_text(encoding="utf-8"))
        changed = run_differences(before, row.to_dict() | {"features": list(keys)})
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(
            f"{run.settings}: expected a run's settings, found something else ({error}); choose another --out, or add --overwrite"
        ) from error
    if changed:
        raise UsageError(
            f"{run.path}: holds a row made with other settings ({'; '.join(changed)}); choose another --out, or add --overwrite"
        )
    return run.scores.is_file()

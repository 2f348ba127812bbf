"""What each epoch of a run gave, and who is told. No TensorFlow here."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from train.errors import UsageError
from train.json_text import parsed_json
from train.rundir import write_text


@dataclass(frozen=True)
class EpochResult:
    """One epoch (counted from 1). `loss` holds the weight penalties, `val_loss` the cross-entropy alone.

    The `val_` values are None without validation people. `best` says that the epoch beat all before it.
    """

    epoch: int
    loss: float
    learning_rate: float
    val_loss: float | None
    val_uf1: float | None
    val_uar: float | None
    val_accuracy: float | None
    best: bool
    seconds: float
    clips_per_s: float


class Listener(Protocol):
    """Told how a run goes."""

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """`step` of `steps` of an epoch (both from 1) is done; `loss` is the epoch's mean so far."""

    def epoch(self, result: EpochResult) -> None:
        """An epoch is done and backed up."""


def best_epoch(history: list[EpochResult]) -> EpochResult:
    """The epoch of the highest UF1 on the validation people, the lower loss where equal; the last without them."""
    return [result for result in history if result.best][-1]


def beats(uf1: float, loss: float, history: list[EpochResult]) -> bool:
    """Whether these validation scores are better than those of all epochs before."""
    if not history:
        return True
    before = best_epoch(history)
    assert before.val_uf1 is not None and before.val_loss is not None
    return (uf1, -loss) > (before.val_uf1, -before.val_loss)


def append_result(path: Path, result: EpochResult) -> None:
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(result)) + "\n")


def read_history(path: Path, epochs: int) -> list[EpochResult]:
    """The first `epochs` results; the file is cut to them, since a kill may have left one more, or half of one."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[:epochs]
    write_text(path, "".join(f"{line}\n" for line in lines))
    try:
        return [EpochResult(**parsed_json(line)) for line in lines]
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{path}: expected an epoch's results in every line ({error}); begin again with --overwrite"
        ) from error

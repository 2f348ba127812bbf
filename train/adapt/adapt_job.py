"""What adapting is asked for, what it begins with, and a fold of it as work for another process. No TensorFlow here."""

from dataclasses import dataclass

from train.errors import UsageError
from train.loso.fold_job import FoldJob

HEAD = ("head_1", "head_2", "logits")
"""The layers that learn first: those from what was seen to the classes."""


@dataclass(frozen=True)
class AdaptRecipe:
    """How long what learns: for `head_epochs` the network's head alone, then for `all_epochs` all of it, with a rate of its own.

    Few clips would soon spoil what all layers have learned from many; behind a head that already fits there is less to undo.
    """

    head_epochs: int = 20
    all_epochs: int = 10
    all_learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        if min(self.head_epochs, self.all_epochs) < 0 or not self.epochs:
            raise UsageError(
                f"--head-epochs and --all-epochs: expected 0 or more, and one of them above 0, found {self.head_epochs} and "
                f"{self.all_epochs}"
            )
        if not 0 < self.all_learning_rate < 1:
            raise UsageError(
                f"--all-learning-rate: expected a number between 0 and 1, found {self.all_learning_rate:g}"
            )

    @property
    def epochs(self) -> int:
        return self.head_epochs + self.all_epochs

    def cut(self, epochs: int) -> tuple[int, int]:
        """Of so many epochs, how many are the head's and how many everything's."""
        return min(epochs, self.head_epochs), max(0, epochs - self.head_epochs)


@dataclass(frozen=True, eq=False)
class AdaptJob(FoldJob):
    """A fold that goes on from `pretrained`, whose scaling of the input stays.

    `keep_in`: where the adapted network is to be saved, if it is. Without epochs the answers are those of the network before.
    """

    scaling: tuple[float, float] = (0.0, 1.0)
    head_epochs: int = 0
    all_epochs: int = 0
    all_learning_rate: float = AdaptRecipe.all_learning_rate
    keep_in: str | None = None

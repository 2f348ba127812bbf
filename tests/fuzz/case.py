"""One input: a command line, what it may write, and what happens around it while it runs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Program = Literal["run_live", "train", "export"]


class Around(Protocol):
    """Something that has to be there while the command runs, such as a server; in the command's own process.

    Called with the input's folder; entering gives words that stand for others in the command line (`{url}`).
    """

    def __call__(self, folder: Path) -> AbstractContextManager[Mapping[str, str]]: ...


def _nothing(folder: Path) -> AbstractContextManager[Mapping[str, str]]:
    return nullcontext({})


@dataclass(frozen=True)
class Case:
    """`argv` is run in the input's folder, to which `rows` are relative: CSV, JSON lines and JSON files that must be
    whole where they exist. `sound_code` is the exit code of the same input without a mutation."""

    program: Program
    argv: tuple[str, ...]
    mutation: str
    rows: tuple[str, ...]
    around: Around = field(default=_nothing)
    sound_code: int = 0

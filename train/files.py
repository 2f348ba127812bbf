"""Files of runs: the folder of one, when it may be used again, and JSON and text read and written without surprises."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from model.atomic import regular_file, whole_file
from model.checked import MisfitError, checked_json
from train.config_file import config_from, read_config_file
from train.errors import TrainError, UsageError
from train.fit_config import TrainConfig


class RunDir:
    """Paths of a run's files. `metrics.json` is written last: a run that has it is finished."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.data = self.path / "data.json"
        self.history = self.path / "history.jsonl"
        self.backup = self.path / "backup"
        self.tensorboard = self.path / "tensorboard"
        self.model = self.path / "model.keras"
        self.contract = self.path / "contract.json"
        self.samples = self.path / "samples.npy"
        self.predictions = self.path / "predictions.jsonl"
        self.curves = self.path / "curves.png"
        self.confusion = self.path / "confusion.png"
        self.reliability = self.path / "reliability.png"
        self.metrics = self.path / "metrics.json"

    @property
    def finished(self) -> bool:
        return self.metrics.is_file()

    def begin(self, config: TrainConfig, overwrite: bool = False) -> bool:
        """Makes the folder ready and writes the config; True when it holds an unfinished run of the same config.

        Raises:
            UsageError: it holds a finished run, another run, or something else; `overwrite` clears the first two.
        """
        if not self.config.is_file() and other_files(self.path, {"features"}):
            raise UsageError(f"{self.path}: expected an empty folder or a run, found other files; choose another --out")
        if overwrite:
            self._clear()
        if self.finished:
            raise UsageError(
                f"{self.path}: holds a finished run; choose another --out, or add --overwrite to replace it"
            )
        require_regular(vars(self).values())
        resumes = self.config.is_file()
        if resumes:
            self._require_same(config)
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.config, yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True))
        return resumes

    def record_data(self, facts: dict[str, Any]) -> None:
        """Writes what the run is trained on; raises UsageError when an unfinished run was trained on something else."""
        if self.data.is_file():
            before = read_object(self.data, "what the run is trained on")
            # Other features that give the same scaling are the same for training.
            changed = [name for name in facts if name != "features" and facts[name] != before.get(name)]
            if changed:
                raise UsageError(
                    f"{self.path}: the data changed since this run began ({', '.join(changed)}); choose another --out, or add --overwrite"
                )
        write_text(self.data, json.dumps(facts, indent=2) + "\n")

    def best_weights(self, epoch: int) -> Path:
        return self.path / f"best-{epoch:04d}.weights.h5"

    def drop_weights(self, keep: int | None = None) -> None:
        """Removes the best epochs' weights, but not those of epoch `keep`."""
        for path in self.path.glob("best-*.weights.h5"):
            if keep is None or path != self.best_weights(keep):
                path.unlink()

    def _require_same(self, config: TrainConfig) -> None:
        before = config_from(read_config_file(self.config))
        differences = config.differences(before)
        if differences:
            told = "; ".join(f"{name} was {old!r}, is now {new!r}" for name, (new, old) in differences.items())
            raise UsageError(
                f"{self.path}: holds an unfinished run with other settings ({told}); choose another --out, or add --overwrite"
            )

    def _clear(self) -> None:
        """Removes what a run wrote, computed features excepted."""
        self.metrics.unlink(missing_ok=True)
        self.drop_weights()
        for path in (value for value in vars(self).values() if value != self.path):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Holds a run's folder, made where it is not there, for one process at a time; a killed process lets go of it.

    An empty folder that the block leaves empty is removed again if it was made here. Where folders cannot be locked
    (Windows, some network drives) nobody holds them.

    Raises:
        UsageError: another process holds it, or it is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder for the run, found a file")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    held = _locked(folder)
    try:
        yield
    finally:
        if is_new:
            with suppress(OSError):  # it holds the run
                folder.rmdir()
        if held is not None:
            os.close(held)


def _locked(folder: Path) -> int | None:
    if sys.platform == "win32":
        return None
    import fcntl  # POSIX only

    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise UsageError(f"{folder}: another run is writing there; wait for its end, or choose another --out") from None
    except OSError:
        pass  # a network drive without locks
    return held


def other_files(folder: Path, known: Container[str]) -> list[str]:
    """The names in a folder that are not known; what a killed process was just writing, hidden, does not count."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.name not in known and not p.name.startswith("."))


def require_regular(paths: Iterable[Path]) -> None:
    """Raises UsageError for a device or a FIFO where a run keeps a file: reading or adding to it could go on for ever."""
    for path in paths:
        if path.exists() and not path.is_dir():
            try:
                regular_file(path)
            except OSError as error:
                raise UsageError(f"{path}: {error.strerror}") from None


def parsed_json(text: str) -> Any:
    """As `json.loads`, with a ValueError for lists that lie too deep in lists, too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists too deep in lists") from None


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The JSON object in a file; UsageError where there is none. `what` it should be, for the message."""
    try:
        return checked_json(TypeAdapter(dict[str, Any]), regular_file(path).read_bytes())
    except MisfitError as error:
        raise UsageError(f"{path}: expected {what}, found something else ({error})") from None


def json_line(values: Mapping[str, Any]) -> str:
    """An object as a line of a .jsonl file."""
    return json.dumps(values, ensure_ascii=False) + "\n"


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a .jsonl file whose lines are whole; none without the file."""
    if not path.is_file():
        return []
    lines = []
    # Not splitlines: JSON strings may hold other line separators.
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            line = parsed_json(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def append_text(path: Path, text: str, kept: str) -> None:
    """Adds to a file of a run; once this returns it survives a kill of the machine. Raises TrainError, which says that what was
    added before, `kept` in words, is kept."""
    try:
        with path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise TrainError(
            f"{path}: cannot be written ({error.strerror or error}); {kept} before are kept: make room and give the same "
            "command again"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Writes a file so that readers see the old one or the whole new one."""
    write_with(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_with(path: Path, write: Callable[[Path], Any]) -> None:
    """Has `write` fill a temporary file with the same ending, which becomes `path` when it is whole; raises OSError."""
    with whole_file(path) as temporary:
        write(temporary)

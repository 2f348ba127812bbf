"""One row for every frame, faces or not, with the frame's own time."""

import contextlib
import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from model.types import FrameResult
from stream.sinks.base import SinkError, check_target, reason


class CsvSink:
    """Writes `frame,time_s,face,status,label,confidence,p_<class>…,latency_ms`.

    `face` is 0 or 1; label, confidence and probabilities are empty where there is no answer. Every row is handed to
    the system as it comes, so that a run that is killed keeps its rows. Raises `SinkError` at construction when the
    file cannot be made, and from `write` when it cannot take more.
    """

    def __init__(self, path: Path | str, class_names: Sequence[str]) -> None:
        self.path = Path(path)
        self.rows = 0
        self._class_names = tuple(class_names)
        check_target(self.path, "CSV file")
        try:
            self._file = self.path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise SinkError(f"cannot write the CSV file {self.path}: {reason(error)}") from error
        self._writer = csv.writer(self._file, lineterminator="\n")
        probabilities = (f"p_{name}" for name in self._class_names)
        header = ("frame", "time_s", "face", "status", "label", "confidence", *probabilities, "latency_ms")
        try:
            self._put(header)
        except SinkError:
            self._abandon()
            raise

    def write(self, result: FrameResult) -> None:
        answer = result.prediction
        if answer is None:
            answer_cells = ("",) * (2 + len(self._class_names))
        else:
            probabilities = (f"{answer.probabilities[name]:.6f}" for name in self._class_names)
            answer_cells = (answer.label, f"{answer.confidence:.6f}", *probabilities)
        frame = result.frame
        face = "0" if result.face is None else "1"
        self._put((frame.index, f"{frame.time_s:.6f}", face, result.status, *answer_cells, f"{result.latency_ms:.3f}"))
        self.rows += 1

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise SinkError(f"cannot finish the CSV file {self.path}: {reason(error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._abandon()

    def _put(self, cells: Sequence[object]) -> None:
        try:
            self._writer.writerow(cells)
            self._file.flush()
        except OSError as error:
            raise SinkError(f"cannot write the CSV file {self.path}: {reason(error)}") from error

    def _abandon(self) -> None:
        """Closes without a second complaint: the first error is the one to tell."""
        with contextlib.suppress(OSError):
            self._file.close()

"""The probabilities of the last seconds, for drawing."""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.types import FrameResult, Status


@dataclass(frozen=True, eq=False)
class HistoryWindow:
    """Samples in the order of time: `times_s` (n,) and `probabilities` (n, classes), a row of NaN where no answer was."""

    times_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    span_s: float


class ProbabilityHistory:
    """Keeps the last `span_s` seconds of the source's clock in at most `capacity` samples.

    Of samples that come closer together than span / capacity only the newest is kept, so that memory does not grow
    with the frame rate. Time that runs backwards (a file that starts over) clears the history.
    One thread may append while another draws.
    """

    def __init__(self, class_names: Sequence[str], span_s: float = 10.0, capacity: int = 1200) -> None:
        if not class_names:
            raise ValueError("class_names: expected one or more, found none")
        if not (math.isfinite(span_s) and span_s > 0):
            raise ValueError(f"span_s: expected a finite number above 0, found {span_s}")
        if capacity < 2:
            raise ValueError(f"capacity: expected 2 or more, found {capacity}")
        self.class_names = tuple(class_names)
        self.span_s = span_s
        self._lock = threading.Lock()
        # Two samples more than fit into the span: its first and last slot may both be cut in part.
        self._slot_s = span_s / capacity
        self._times_s: NDArray[np.float64] = np.zeros(capacity + 2, np.float64)
        self._probabilities: NDArray[np.float32] = np.zeros((capacity + 2, len(self.class_names)), np.float32)
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, len(self._times_s))

    def reset(self) -> None:
        with self._lock:
            self._count = 0

    def record(self, result: FrameResult) -> None:
        """Appends what a frame's result says."""
        answer = result.prediction.probabilities if result.prediction is not None else None
        self.append(result.frame.time_s, answer, result.status)

    def append(self, time_s: float, probabilities: Mapping[str, float] | None, status: Status) -> None:
        """`probabilities` by class name, or None; they count only where the status is `ok`.

        Raises ValueError for a time that is not finite and for probabilities of other classes.
        """
        if not math.isfinite(time_s):
            raise ValueError(f"time_s: expected a finite number, found {time_s}")
        if probabilities is None or status != "ok":
            row = [math.nan] * len(self.class_names)
        else:
            if set(probabilities) != set(self.class_names):
                raise ValueError(
                    f"probabilities: expected {', '.join(self.class_names)}, found {', '.join(probabilities)}"
                )
            row = [probabilities[name] for name in self.class_names]
        with self._lock:
            newest_s = self._times_s[(self._count - 1) % len(self._times_s)] if self._count else -math.inf
            if time_s < newest_s:
                self._count = 0
            elif self._count and math.floor(time_s / self._slot_s) == math.floor(newest_s / self._slot_s):
                self._count -= 1
            place = self._count % len(self._times_s)
            self._times_s[place] = time_s
            self._probabilities[place] = row
            self._count += 1

    def window(self) -> HistoryWindow:
        """What lies in the last `span_s` seconds before the newest sample (copies)."""
        with self._lock:
            size = len(self._times_s)
            kept = min(self._count, size)
            order = np.arange(self._count - kept, self._count) % size
            times_s, probabilities = self._times_s[order], self._probabilities[order]
        if kept:
            inside = times_s >= times_s[-1] - self.span_s
            times_s, probabilities = times_s[inside], probabilities[inside]
        return HistoryWindow(times_s, probabilities, self.span_s)

"""The two stages between a frame and its answer: face → network frame, network frame → probabilities."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from model.contract import ClipContract
from model.preprocess import Preprocessor, TimeResampler
from model.types import FaceCrop, Frame, FrameResult, Prediction, Status
from stream.engine import Engine
from stream.face import FaceTracker


@dataclass(frozen=True, eq=False)
class FaceFeatures:
    """A frame with its face and network frame; `restart` says that what came before does not belong to it."""

    frame: Frame
    status: Status
    face: FaceCrop | None
    features: NDArray[Any] | None
    restart: bool
    stages_ms: Mapping[str, float]


class FaceStage:
    """Follows the face and preprocesses its crop. The neutral reference starts anew with the face."""

    def __init__(self, contract: ClipContract, tracker: FaceTracker) -> None:
        self._max_gap_s = contract.max_gap_s
        self._tracker = tracker
        self._preprocessor = Preprocessor(contract)
        self._last_s: float | None = None

    def reset(self) -> None:
        self._tracker.reset()
        self._last_s = None

    def step(self, frame: Frame) -> FaceFeatures:
        if self._last_s is not None and not 0 < frame.time_s - self._last_s <= self._max_gap_s:
            self._tracker.reset()
        self._last_s = frame.time_s
        started_s = time.perf_counter()
        observed = self._tracker.step(frame)
        aligned_s = time.perf_counter()
        stages_ms = {"decode": frame.decode_ms, "align": 1000 * (aligned_s - started_s)}
        if observed.face is None:
            return FaceFeatures(frame, observed.status, None, None, False, stages_ms)
        if observed.face.rekeyed:
            self._preprocessor.reset()
        features = self._preprocessor.step(observed.face.crop, frame.time_s)
        stages_ms["preprocess"] = 1000 * (time.perf_counter() - aligned_s)
        return FaceFeatures(frame, "ok", observed.face, features, observed.face.rekeyed, stages_ms)


class ClassifyStage:
    """Brings network frames onto the contract's time grid and asks the engine at every one of them.

    A source faster than the grid keeps the last answer until the next grid frame.
    """

    def __init__(self, contract: ClipContract, engine: Engine) -> None:
        self._names = contract.class_names
        self._engine = engine
        self._resampler = TimeResampler(contract.fps)
        self.reset()

    def reset(self) -> None:
        self._engine.reset()
        self._resampler.reset()
        self._prediction: Prediction | None = None

    def step(self, item: FaceFeatures) -> FrameResult:
        if item.restart or item.features is None:
            self.reset()
        started_s = time.perf_counter()
        stages_ms = dict(item.stages_ms)
        if item.features is not None:
            for features in self._resampler.step(item.features, item.frame.time_s):
                probabilities = self._engine.step(features)
                if probabilities is not None:
                    values = zip(self._names, map(float, probabilities), strict=True)
                    self._prediction = Prediction(dict(values))
            stages_ms["classify"] = 1000 * (time.perf_counter() - started_s)
        status: Status = item.status if item.features is None or self._prediction is not None else "filling"
        latency_ms = 1000 * (time.monotonic() - item.frame.captured_s)
        return FrameResult(item.frame, status, self._engine.filled, self._prediction, item.face, latency_ms, stages_ms)

"""What the live line saw of a video, in one file: for trying detector ideas offline, in seconds instead of minutes."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from model.contract import ClipContract
from model.types import FrameResult, Status
from train.rundir import write_with
from train.spotting import TruthEvent
from train.synth.long_video_script import Distraction

STATUSES: tuple[str, ...] = get_args(Status)


class Dump:
    """Collects results; `write` makes an uncompressed .npz of n frames.

    `time_s` (n,), `status` (n,) index into `statuses`, `probabilities` (n, classes) NaN where there is no answer,
    `filled` (n,), `transform` (n, 2, 3) NaN without a face, `rekeyed` (n,), `crop` uint8 (n, size, size[, 3]) 0 without
    a face, `classes`, `statuses`, and of the truth `event_kind`, `event_label`, `event_onset_s`, `event_apex_s`,
    `event_offset_s`, `event_peak_px`, `other_kind`, `other_start_s`, `other_end_s`; `about` is JSON.
    """

    def __init__(self, contract: ClipContract) -> None:
        self._contract = contract
        size = contract.crop.size_px
        self._empty = np.zeros((size, size) if contract.input.colour == "grey" else (size, size, 3), np.uint8)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, result: FrameResult) -> None:
        names, answer, face = self._contract.class_names, result.prediction, result.face
        self._rows.append(
            (
                result.frame.time_s,
                STATUSES.index(result.status),
                [answer.probabilities[name] for name in names] if answer else [np.nan] * len(names),
                result.filled,
                face.transform if face else np.full((2, 3), np.nan),
                face.rekeyed if face else False,
                face.crop if face else self._empty,
            )
        )

    def collect(self, results: Iterable[FrameResult]) -> None:
        for result in results:
            self.add(result)

    def write(
        self, path: Path, events: Sequence[TruthEvent], others: Sequence[Distraction], about: dict[str, Any]
    ) -> None:
        times, statuses, probabilities, filled, transforms, rekeyed, crops = zip(*self._rows, strict=True)
        arrays: dict[str, Any] = {
            "time_s": np.array(times),
            "status": np.array(statuses, np.uint8),
            "probabilities": np.array(probabilities, np.float32),
            "filled": np.array(filled, np.int16),
            "transform": np.array(transforms),
            "rekeyed": np.array(rekeyed),
            "crop": np.stack(crops),
            "classes": np.array(self._contract.class_names),
            "statuses": np.array(STATUSES),
            "about": np.array(json.dumps(about)),
        }
        for name in ("kind", "label", "onset_s", "apex_s", "offset_s", "peak_px"):
            arrays[f"event_{name}"] = np.array([getattr(event, name) for event in events])
        for name in ("kind", "start_s", "end_s"):
            arrays[f"other_{name}"] = np.array([getattr(other, name) for other in others])
        write_with(path, lambda temporary: np.savez(temporary, **arrays))

"""Sessions of made-up rows and events, for their report."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stream.session.session_folder import SCHEMA_VERSION, SessionFolder
from stream.sinks.tables import csv_header
from tests.helpers.models import CLASSES

REST = (0.1, 0.1, 0.1, 0.7)
MOVED = (0.05, 0.05, 0.8, 0.1)


def row(
    frame: int,
    time_s: float,
    values: Sequence[float] | None,
    status: str = "ok",
    track: int = 1,
    sight: float | bool | None = 0.6,
) -> list[object]:
    """`sight`: the smallest visible movement in px where it is watchable, None where it is not, False in a session of an
    earlier version."""
    told = [] if sight is False else ["", 0] if sight is None or values is None else [f"{sight:.3f}", 1]
    if values is None:
        return [frame, f"{time_s:.6f}", 0, status, "", "", *[""] * len(CLASSES), *told, "4.000"]
    label = CLASSES[int(np.argmax(values))]
    return [frame, f"{time_s:.6f}", track, status, label, f"{max(values):.6f}", *map(str, values), *told, "8.000"]


def line(number: int, apex_s: float, **changes: Any) -> dict[str, Any]:
    times = {"onset_s": apex_s - 0.1, "apex_s": apex_s, "offset_s": apex_s + 0.15}
    return {"kind": "micro", "label": "surprise", **times, "confidence": 0.5, "peak_px": 1.0, "track": 1} | changes


def made(
    path: Path, rows: Sequence[Sequence[object]], events: Sequence[dict] = (), sight: bool = True, **facts: Any
) -> SessionFolder:
    """`sight`: whether the rows tell it."""
    folder = SessionFolder(path)
    path.mkdir(exist_ok=True)
    with folder.frames.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([csv_header(CLASSES, watching=sight), *rows])
    folder.events.write_text("".join(json.dumps(one) + "\n" for one in events))
    folder.facts.write_text(json.dumps({"schema_version": SCHEMA_VERSION, "state": "finished", **facts}))
    return folder

"""Recorded sessions with events and coders' labels of our choosing: the pictures are real, the recording is the program's own."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.types import Frame, FrameResult
from stream.events.evidence import REASONS
from stream.labels.label_log import LabelLog
from stream.session.session_folder import SCHEMA_VERSION, SessionFolder
from stream.session.source_recorder import SourceRecorder
from stream.sinks.tables import csv_header
from tests.helpers.clips import face_frames
from tests.helpers.models import CLASSES
from tests.helpers.report_sessions import REST, row

FPS = 30.0


def event(apex_s: float, **changes: Any) -> dict[str, Any]:
    """A line of events.jsonl: a candidate of .25 s, accepted by the program."""
    times = {"onset_s": apex_s - 0.1, "apex_s": apex_s, "offset_s": apex_s + 0.15}
    told = {"kind": "micro", "label": "surprise", **times, "confidence": 0.5, "peak_px": 1.0, "track": 1}
    return told | {"probability": 0.6, "evidence": dict.fromkeys(REASONS, 0.1)} | changes


def session(
    path: Path, events: Sequence[Mapping[str, Any]], frames: int = 0, times_s: Sequence[float] = (), **facts: Any
) -> SessionFolder:
    """`frames`: so many pictures are recorded, none where 0; at `times_s`, else evenly."""
    folder = SessionFolder(path)
    path.mkdir(parents=True)
    folder.events.write_text("".join(json.dumps(one) + "\n" for one in events))
    told = {"schema_version": SCHEMA_VERSION, "state": "finished", "model": {"class_names": list(CLASSES)}}
    told |= {"source": {"fps": FPS}, "settings": {"max_faces": 1}, "recording": "source" if frames else None}
    folder.facts.write_text(json.dumps(told | facts))
    if frames:
        recorder = SourceRecorder(folder, FPS)
        for index, image in enumerate(face_frames(frames)):
            time_s = times_s[index] if times_s else index / FPS
            recorder.write(FrameResult(Frame(index, time_s, image, 0.0), (), "no_face", (), 0.0, {}))
        recorder.close()
    return folder


def watched(folder: SessionFolder, seconds: float) -> None:
    """Rows of a face that is read, two a second."""
    rows = [row(index, index / 2, REST) for index in range(round(2 * seconds) + 1)]
    with folder.frames.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([csv_header(CLASSES, watching=True), *rows])


def label(folder: SessionFolder, coder: str, **said: Any) -> None:
    """`e1="accepted"`, or fields to set."""
    with LabelLog(folder.path / f"labels-{coder}.jsonl", coder) as log:
        for name, fields in said.items():
            log.add(name, {"verdict": fields} if isinstance(fields, str) else fields)  # type: ignore[typeddict-item, arg-type]

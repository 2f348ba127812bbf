"""What `prepare` says and shows at the end: remarks, tables, a summary for scripts, a contact sheet."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model.types import Image
from train.clips.store import ClipRecord, ClipStore
from train.datasets.source import Reading
from train.prepare.prepare import Prepared, Remark

_DIFFERENCE_GAIN = 6


def print_remarks(heading: str, remarks: Sequence[Remark], style: str, console: Console) -> None:
    """A line a clip."""
    if remarks:
        console.print(f"{heading}:", style=style, highlight=False)
    for remark in remarks:
        console.print(f"  {remark.clip}: {remark.text}", markup=False, highlight=False, soft_wrap=True)


def print_report(store: ClipStore, done: Prepared, preview: Path | None, console: Console) -> None:
    """What is in the store, by dataset and person."""
    names = store.manifest.class_names
    counts: dict[str, dict[str, Counter[str]]] = {}
    for record in store.records:
        counts.setdefault(record.dataset, {}).setdefault(record.subject, Counter())[record.label] += 1
    table = Table(show_footer=True)
    table.add_column("dataset", footer="all")
    table.add_column("people", justify="right", footer=str(sum(map(len, counts.values()))))
    for name in names:
        table.add_column(escape(name), justify="right", footer=str(store.manifest.class_counts[name]))
    table.add_column("clips", justify="right", footer=str(len(store)))
    for dataset, people in counts.items():
        total: Counter[str] = sum(people.values(), Counter())
        table.add_row(escape(dataset), str(len(people)), *(str(total[name]) for name in names), str(total.total()))
    console.print(table)
    absent = [name for name in names if not store.manifest.class_counts[name]]
    if absent:
        console.print(f"no clips of {', '.join(absent)}: training on this store alone will refuse that", style="yellow")
    told = [f"{count(len(store), 'clip')} → {store.path}"]
    if done.skipped:
        told.append(f"{len(done.skipped)} skipped")
    if done.resumed:
        told.append(f"{done.resumed} of them were done before")
    if done.resumed < len(done.keys):
        told.append(f"{done.clips_per_s:.1f} clips/s")
    console.print(", ".join(told), highlight=False, soft_wrap=True)
    if preview:
        console.print(f"preview: {preview}", highlight=False, soft_wrap=True)
    if not absent:
        console.print(f"next: python -m train loso --data {store.path} --out RUN", highlight=False, soft_wrap=True)


def summary(
    store: ClipStore, reading: Reading, done: Prepared, remarks: Sequence[Remark], preview: Path | None
) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "out": str(store.path),
        "clips": len(store),
        "classes": dict(store.manifest.class_counts),
        "people": dict(Counter(f"{record.dataset}/{record.subject}" for record in store.records)),
        "skipped": {remark.clip: remark.text for remark in done.skipped},
        "odd": [[remark.clip, remark.text] for remark in remarks],
        "errors": [str(defect) for defect in reading.defects if defect.severity == "error"],
        "warnings": [str(defect) for defect in reading.defects if defect.severity == "warning"],
        "resumed": done.resumed,
        "seconds": round(done.seconds, 2),
        "clips_per_s": round(done.clips_per_s, 2),
        "preview": str(preview) if preview else None,
    }


def count(number: int, noun: str) -> str:
    """ "1 clip", "2 clips"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def write_preview(store: ClipStore) -> Path:
    """Writes `preview.png` into the store's folder and returns its path.

    Beside onset, apex (the middle where none is known) and offset stands the difference between onset and apex, enlarged:
    edges all over it mean that the alignment does not hold.
    """
    from train.clips.sheets import contact_sheet  # loads matplotlib for its font

    first: dict[tuple[str, str, str], int] = {}
    for row, record in enumerate(store.records):
        first.setdefault((record.dataset, record.subject, record.label), row)
    rows = [_row(store, row) for row in first.values()]
    return contact_sheet(rows, store.path / "preview.png")


def _row(store: ClipStore, row: int) -> tuple[str, list[NDArray[np.uint8]]]:
    record, clip = store.records[row], store.clips[row]
    moments = _moments(record, len(clip))
    onset, apex, _ = moments
    title = (
        f"{record.label}   {record.id}   onset, {'middle' if record.apex_frame is None else 'apex'}, offset, difference"
    )
    return title, [*(np.asarray(clip[moment]) for moment in moments), _difference(clip[onset], clip[apex])]


def _moments(record: ClipRecord, frames: int) -> tuple[int, int, int]:
    onset = record.window_start
    return onset, (onset + frames - 1) // 2 if record.apex_frame is None else record.apex_frame, frames - 1


def _difference(before: Image, after: Image) -> NDArray[np.uint8]:
    pair = [crop[..., 0] if crop.shape[-1] == 1 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in (before, after)]
    return np.asarray(cv2.addWeighted(pair[1], _DIFFERENCE_GAIN, pair[0], -_DIFFERENCE_GAIN, 128), np.uint8)

"""Clips that a run answered wrong, the most confident first, and their pictures from the stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from train.clips.sheets import contact_sheet
from train.clips.store import ClipStore, StoreError
from train.loso.predictions import FoldAnswer, LosoRun
from train.report.figures import data_uri, shortened

_TILE_PX = 128
_GAP_PX = 3
_JPEG_QUALITY = 88


@dataclass(frozen=True)
class Mistake:
    """A misclassified clip: class names, the probability of its most confident wrong answer, and how often it was wrong."""

    id: str
    person: str
    truth: str
    answer: str
    probability: float
    wrong_seeds: int
    seeds: int
    store: str
    row: int


@dataclass(frozen=True)
class Shown:
    """A mistake with its onset, apex and offset crops side by side, as a JPEG data URI; `moments` names them."""

    mistake: Mistake
    strip: str
    width_px: int
    height_px: int
    moments: str


def mistakes_of(run: LosoRun) -> list[Mistake]:
    """Every clip that was answered wrong with at least one seed, the most confident wrong answer first."""
    wrong: dict[str, list[FoldAnswer]] = {}
    tested: dict[str, int] = {}
    for predictions in run.predictions.values():
        for sample_id, prediction in predictions.items():
            tested[sample_id] = tested.get(sample_id, 0) + 1
            if prediction.answer != prediction.label:
                wrong.setdefault(sample_id, []).append(prediction)
    found = []
    for sample_id, answers in wrong.items():
        worst = max(answers, key=lambda answer: answer.probabilities[answer.answer])
        sample = run.samples[sample_id]
        found.append(
            Mistake(
                id=sample_id,
                person=sample.person,
                truth=run.class_names[worst.label],
                answer=run.class_names[worst.answer],
                probability=worst.probabilities[worst.answer],
                wrong_seeds=len(answers),
                seeds=tested[sample_id],
                store=sample.store,
                row=sample.row,
            )
        )
    return sorted(found, key=lambda mistake: (-mistake.probability, -mistake.wrong_seeds, mistake.id))


def show_mistakes(mistakes: Sequence[Mistake], sheet: Path) -> tuple[tuple[Shown, ...], tuple[str, ...]]:
    """The mistakes with pictures, and why others have none, a line a store. Writes them as a contact sheet, too.

    A store that is gone, or whose clips are no longer those that the run tested, is told and left out.
    """
    stores: dict[str, ClipStore | str] = {}
    shown, rows, problems = [], [], {}
    for mistake in mistakes:
        if mistake.store not in stores:
            stores[mistake.store] = _opened(mistake.store)
        store = stores[mistake.store]
        if isinstance(store, str):
            problems[mistake.store] = store
        elif not _is_same(store, mistake):
            problems[mistake.store] = f"{mistake.store}: holds other clips than when the run was made; no pictures"
        else:
            crops, moments = _moments(store, mistake.row)
            shown.append(_shown(mistake, crops, moments))
            rows.append((_sheet_line(mistake), crops))
    if rows:
        contact_sheet(rows, sheet)
    return tuple(shown), tuple(problems.values())


def _opened(path: str) -> ClipStore | str:
    try:
        return ClipStore.open(path)
    except (StoreError, OSError) as error:
        return f"no pictures of its clips: {error}"


def _is_same(store: ClipStore, mistake: Mistake) -> bool:
    """Whether the row still holds the clip; a sample's id may have its store's name in front of the record's."""
    if not 0 <= mistake.row < len(store):
        return False
    record = store.records[mistake.row]
    return record.label == mistake.truth and (mistake.id == record.id or mistake.id.endswith(f"/{record.id}"))


def _moments(store: ClipStore, row: int) -> tuple[list[NDArray[np.uint8]], str]:
    """The crops at onset, apex and offset, and what they are called; what is unknown is the window's start, middle, end."""
    record, last = store.records[row], store.manifest.frames - 1
    onset = record.window_start if record.onset_frame is None else record.onset_frame
    offset = last if record.offset_frame is None else record.offset_frame
    apex = (onset + offset) // 2 if record.apex_frame is None else record.apex_frame
    names = [
        "first frame" if record.onset_frame is None else "onset",
        "middle" if record.apex_frame is None else "apex",
        "last frame" if record.offset_frame is None else "offset",
    ]
    return [np.array(store.clips[row, frame]) for frame in (onset, apex, offset)], ", ".join(names)


def _shown(mistake: Mistake, crops: Sequence[NDArray[np.uint8]], moments: str) -> Shown:
    gap = np.full((_TILE_PX, _GAP_PX, 3), 128, np.uint8)
    tiles = [_tile(crop) for crop in crops]
    strip = np.concatenate([tiles[0], gap, tiles[1], gap, tiles[2]], axis=1)
    done, content = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done, "encoding a uint8 picture cannot fail"
    return Shown(mistake, data_uri(content.tobytes(), "jpeg"), strip.shape[1], strip.shape[0], moments)


def _tile(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey or RGB crop as BGR, 128 px wide and high."""
    picture = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR if crop.shape[-1] == 1 else cv2.COLOR_RGB2BGR)
    method = cv2.INTER_AREA if crop.shape[0] > _TILE_PX else cv2.INTER_CUBIC
    return cv2.resize(picture, (_TILE_PX, _TILE_PX), interpolation=method).astype(np.uint8)


def _sheet_line(mistake: Mistake) -> str:
    return f"{shortened(mistake.id, 26)}: {mistake.truth} → {mistake.answer} {mistake.probability:.2f}"

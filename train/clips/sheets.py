"""Contact sheets: rows of face crops under a line of text, as one PNG; and clips before and after augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from model.contract import ClipContract, InputKind
from model.types import Image
from train.clips.augmentation import Transform, draw_transform
from train.clips.features import clip_features
from train.clips.flow_augmentation import FlowChange, draw_flow_change
from train.clips.store import ClipRecord, ClipStore
from train.files import write_with
from train.fit_config import TrainConfig

Row = tuple[str, Sequence[NDArray[np.uint8]]]
"""A line of text and the crops under it: uint8 (height, width), (height, width, 1) grey or (height, width, 3) RGB."""

_TILE_PX = 128
_TITLE_PX = 22
_GAP_PX = 12
_ROWS_A_COLUMN = 16
_BACKGROUND, _INK = (24, 24, 28), (235, 235, 235)
_ARROW_STEP_PX = 8
_ARROW_GAIN = 8
_SHORTEST_ARROW_PX = 2.0
_ARROW_COLOUR = (80, 255, 80)
_DIFFERENCE_GAIN = 4.0


def contact_sheet(rows: Sequence[Row], path: Path) -> Path:
    """Writes the rows as a PNG, complete or not at all, and returns its path.

    Crops are shown 128 px high and wide. More rows than 16 go on in a further column beside the first.

    Raises:
        ValueError: no rows, or a crop that is no uint8 picture. OSError: the file cannot be written.
    """
    if not rows:
        raise ValueError("contact sheet: expected rows, found none")
    font = _font()
    widest = max(len(crops) for _, crops in rows)
    width_px = max([widest * _TILE_PX, *(int(font.getlength(title)) + 8 for title, _ in rows)]) + _GAP_PX
    height_px = _TITLE_PX + _TILE_PX + _GAP_PX
    columns = -(-len(rows) // _ROWS_A_COLUMN)
    deepest = -(-len(rows) // columns)
    sheet = PillowImage.new("RGB", (columns * width_px + _GAP_PX, deepest * height_px + _GAP_PX), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, (title, crops) in enumerate(rows):
        column, line = divmod(number, deepest)
        left, top = _GAP_PX + column * width_px, _GAP_PX + line * height_px
        draw.text((left, top), title, fill=_INK, font=font)
        for index, crop in enumerate(crops):
            sheet.paste(PillowImage.fromarray(_tile(crop)), (left + index * _TILE_PX, top + _TITLE_PX))
    write_with(path, sheet.save)
    return path


def _font() -> ImageFont.FreeTypeFont:
    import matplotlib  # for the font that it carries; loading it takes a moment

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 13)


def _tile(crop: NDArray[np.uint8]) -> Image:
    picture = crop[..., 0] if crop.ndim == 3 and crop.shape[-1] == 1 else crop
    if picture.dtype != np.uint8 or not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[-1] == 3)):
        raise ValueError(f"contact sheet: expected uint8 grey or RGB crops, found {crop.dtype} {crop.shape}")
    method = cv2.INTER_AREA if picture.shape[0] > _TILE_PX else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, (_TILE_PX, _TILE_PX), interpolation=method)
    return cv2.cvtColor(scaled, cv2.COLOR_GRAY2RGB) if scaled.ndim == 2 else scaled


@dataclass(frozen=True)
class Example:
    """A clip, one draw an epoch of what happens to it, in words, and the record that goes with it, and the rows that show
    them."""

    record: ClipRecord
    draws: tuple[tuple[str, ClipRecord], ...]
    rows: tuple[Row, ...]


def choose_clips(store: ClipStore, count: int) -> list[int]:
    """Rows to show: classes in turn, of each the clips whose action units have a side, then those of large motion."""
    records = store.records
    ranked = sorted(
        range(len(records)),
        key=lambda row: (not _sided(records[row]), -(records[row].peak_px or 0.0), row),
    )
    turns: list[tuple[int, int]] = []
    seen = dict.fromkeys(store.manifest.class_names, 0)
    people: set[tuple[str, str]] = set()
    for row in ranked:
        person = (records[row].label, records[row].subject)
        if person not in people:  # another face each time
            people.add(person)
            turns.append((seen[records[row].label], row))
            seen[records[row].label] += 1
    return [row for _, row in sorted(turns, key=lambda turn: turn[0])[:count]]


def example(store: ClipStore, row: int, config: TrainConfig, contract: ClipContract, draws: int) -> Example:
    """The clip as it is and as training would see it in its first `draws` epochs: first, apex and last frame, and the
    network's input at the apex."""
    record, frames, kind = store.records[row], contract.frames, contract.input.kind
    crops = np.asarray(store.clips[row, record.window_start : record.window_start + frames])
    features = clip_features(store, row, contract)
    mean_level = float(crops.mean())
    title = f"{record.label}, {record.dataset}/{record.subject}, {_units(record)}"
    rows: list[Row] = [(title, _tiles(crops, features, _apex(record, frames), kind))]
    drawn: list[tuple[str, ClipRecord]] = []
    for epoch in range(draws):
        transform = draw_transform(config, frames, epoch, row)
        augmented = transform.apply_to_record(record, store.manifest.frames)
        change = draw_flow_change(config, epoch, row)
        seen = change.apply(
            transform.apply(features, kind, mean_level), contract.crop.size_px, contract.input.strain_gain
        )
        tiles = _tiles(transform.apply(crops, "pixels", mean_level), seen, _apex(augmented, frames), kind)
        words = _in_words(transform, change)
        rows.append((f"{_units(augmented)}: {words}", tiles))
        drawn.append((words, augmented))
    return Example(record, tuple(drawn), tuple(rows))


def _in_words(transform: Transform, change: FlowChange) -> str:
    told = [transform.in_words()] if transform != Transform() or not change.changes else []
    return ", ".join(told + ([change.in_words()] if change.changes else []))


def _sided(record: ClipRecord) -> bool:
    return any(unit[:1] in ("L", "R") for unit in record.action_units)


def _units(record: ClipRecord) -> str:
    return f"AU {'+'.join(record.action_units)}" if record.action_units else "no AUs"


def _apex(record: ClipRecord, frames: int) -> int:
    """The apex as a frame of the window; the middle where none is known or it lies outside."""
    inside = record.apex_frame is not None and 0 <= record.apex_frame - record.window_start < frames
    return record.apex_frame - record.window_start if inside and record.apex_frame is not None else frames // 2


def _tiles(crops: Image, features: NDArray, apex: int, kind: InputKind) -> Sequence[Image]:
    tiles = [_drawn_tile(crops[index]) for index in (0, apex, len(crops) - 1)]
    if kind == "difference":
        tiles.append(_drawn_tile(np.clip(128 + _DIFFERENCE_GAIN * features[apex], 0, 255).astype(np.uint8)))
    elif kind in ("flow", "both"):
        tiles.append(_with_arrows(tiles[1], features[apex]))
    return tiles


def _drawn_tile(frame: Image) -> Image:
    method = cv2.INTER_AREA if frame.shape[0] > _TILE_PX else cv2.INTER_CUBIC
    scaled = cv2.resize(frame, (_TILE_PX, _TILE_PX), interpolation=method)
    return cv2.cvtColor(scaled, cv2.COLOR_GRAY2RGB) if scaled.ndim == 2 else scaled


def _with_arrows(tile: Image, flow: NDArray) -> Image:
    """Flow (size, size, 3) as arrows, some times as long as the motion, on the darkened frame."""
    picture = tile // 2
    step = _TILE_PX / flow.shape[0]
    for y in range(_ARROW_STEP_PX // 2, _TILE_PX, _ARROW_STEP_PX):
        for x in range(_ARROW_STEP_PX // 2, _TILE_PX, _ARROW_STEP_PX):
            across, down = (float(v) for v in _ARROW_GAIN * flow[int(y / step), int(x / step), :2])
            if np.hypot(across, down) >= _SHORTEST_ARROW_PX:
                tip = (round(x + across), round(y + down))
                cv2.arrowedLine(picture, (x, y), tip, _ARROW_COLOUR, 1, cv2.LINE_AA, tipLength=0.35)
    return picture

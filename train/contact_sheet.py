"""Contact sheets: rows of face crops under a line of text, as one PNG."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from model.types import Image
from train.rundir import write_with

Row = tuple[str, Sequence[NDArray[np.uint8]]]
"""A line of text and the crops under it: uint8 (height, width), (height, width, 1) grey or (height, width, 3) RGB."""

_TILE_PX = 128
_TITLE_PX = 22
_GAP_PX = 12
_ROWS_A_COLUMN = 16
_BACKGROUND, _INK = (24, 24, 28), (235, 235, 235)


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

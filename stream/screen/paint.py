"""What is drawn with: colours, text, panels, lines. Everything draws into a BGR uint8 picture in place.

Every class has one colour, the same in the picture, in the terminal and on the page, and each of several faces has one.
"""

import math
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PictureOfText
from PIL import ImageDraw, ImageFont

from model.contract import NEUTRAL
from stream.screen.layout import Rect

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
"""Blue, green, red, each 0 to 255."""

CALM: Colour = (205, 200, 196)
TEXT: Colour = (240, 240, 240)
DIM: Colour = (172, 168, 165)
TROUGH: Colour = (70, 66, 64)
"""What a bar is filled into."""
WARNING: Colour = (60, 180, 255)
LIVELY: tuple[Colour, ...] = (
    (58, 120, 240),
    (238, 184, 90),
    (80, 226, 242),
    (190, 140, 222),
    (140, 196, 40),
    (30, 166, 240),
    (235, 150, 70),
)
"""Of classes: Okabe and Ito's colours for all kinds of colour vision (Color Universal Design, 2008), the dark ones lightened
for a dark ground."""
TRACKS: tuple[Colour, ...] = (
    (255, 238, 204),
    (195, 238, 246),
    (213, 221, 255),
    (204, 221, 162),
    (196, 196, 246),
    (153, 230, 222),
)
"""Of faces: light tints, so that a face is not taken for a class. Paul Tol's "light" scheme, half white: the number beside it
tells for certain."""
SHIFT = 4
"""OpenCV draws at 1/16 pixel with this many fractional bits: lines that move do not jump."""
PANEL_GREY = 18.0
_WORD_GAP_EM = 0.3
_SPRITES = 512
"""So many texts are kept ready."""
_BRIGHTER: NDArray[np.uint8] = (255 * (np.arange(256) / 255) ** 0.75).round().astype(np.uint8)
"""Averaged letters are thin: their half tones are lifted."""


def track_colour(track: int) -> Colour:
    """By the number of the face, again from the start where there are more than colours."""
    return TRACKS[(track - 1) % len(TRACKS)]


def class_colours(class_names: Sequence[str]) -> dict[str, Colour]:
    """By the order of the classes, again from the start where there are more than colours; `neutral` is grey."""
    lively = [name for name in class_names if name != NEUTRAL]
    by_name = {name: LIVELY[place % len(LIVELY)] for place, name in enumerate(lively)}
    return {name: by_name.get(name, CALM) for name in class_names}


def hex_colour(colour: Colour) -> str:
    """As pages write it."""
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with `share` (0 to 1) of `other`."""
    blue, green, red = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return blue, green, red


class TextPainter:
    """Anti-aliased text in the font that Pillow carries. Keeps the most recent texts ready to be blended."""

    def __init__(self) -> None:
        self._fonts: dict[int, ImageFont.FreeTypeFont] = {}
        self._widths: dict[tuple[str, int], int] = {}
        self._sprites: OrderedDict[tuple[str, int, Colour], _Sprite] = OrderedDict()

    def width(self, text: str, size_px: int) -> int:
        key = (text, size_px)
        if key not in self._widths:
            if len(self._widths) > 8 * _SPRITES:
                self._widths.clear()
            self._widths[key] = round(self._font(size_px).getlength(readable(text)) / _oversampling(size_px))
        return self._widths[key]

    def row_width(self, texts: Sequence[str], size_px: int) -> int:
        """Of texts in a row, with gaps as between words."""
        return sum(self.width(text, size_px) for text in texts) + round(_WORD_GAP_EM * size_px) * (len(texts) - 1)

    def draw_row(self, image: Image, texts: Sequence[tuple[str, Colour]], x: int, baseline: int, size_px: int) -> None:
        """Texts with their colours, one after the other. Texts that keep coming back are better drawn so than joined to
        many different ones: each of them is prepared only once."""
        for text, colour in texts:
            self.draw(image, text, x, baseline, size_px, colour)
            x += self.width(text, size_px) + round(_WORD_GAP_EM * size_px)

    def fitted(self, text: str, size_px: int, width: int, least_px: int) -> int:
        """The largest size up to `size_px` at which the text is no wider than `width`, but not under `least_px`."""
        while size_px > least_px and self.width(text, size_px) > width:
            size_px -= max(1, size_px // 12)
        return max(size_px, least_px)

    def shortened(self, text: str, size_px: int, width: int) -> str:
        """The text, cut with an ellipsis where it is wider than `width`; empty where not one letter fits."""
        if self.width(text, size_px) <= width:
            return text
        while text and self.width(text + "...", size_px) > width:
            text = text[:-1]
        return text.rstrip() + "..." if text.strip() else ""

    def draw(self, image: Image, text: str, x: int, baseline: int, size_px: int, colour: Colour) -> None:
        """Starts at `x` on the line `baseline`; what lies outside of the picture is cut off."""
        sprite = self._sprite(text, size_px, colour)
        height, width3 = sprite.keep.shape
        top, left = baseline + sprite.top, x + sprite.left
        y0, y1 = max(0, top), min(image.shape[0], top + height)
        x0, x1 = max(0, left), min(image.shape[1], left + width3 // 3)
        if y0 >= y1 or x0 >= x1:
            return
        flat = image.reshape(image.shape[0], -1)[y0:y1, 3 * x0 : 3 * x1]
        cut = np.s_[y0 - top : y1 - top, 3 * (x0 - left) : 3 * (x1 - left)]
        mixed = flat * sprite.keep[cut]
        mixed += sprite.add[cut]
        mixed >>= 8
        flat[:] = mixed

    def _font(self, size_px: int) -> ImageFont.FreeTypeFont:
        if size_px not in self._fonts:
            font = ImageFont.load_default(size_px * _oversampling(size_px))
            if not isinstance(font, ImageFont.FreeTypeFont):
                raise RuntimeError("Pillow was built without FreeType, which the overlay's text needs")
            self._fonts[size_px] = font
        return self._fonts[size_px]

    def _sprite(self, text: str, size_px: int, colour: Colour) -> "_Sprite":
        key = (text, size_px, colour)
        if key in self._sprites:
            self._sprites.move_to_end(key)
            return self._sprites[key]
        times = _oversampling(size_px)
        font, text = self._font(size_px), readable(text)
        left, top, right, bottom = font.getbbox(text, anchor="ls")
        # Whole pixels around the text, its origin on a corner between them.
        x, y = math.floor(left / times), math.floor(top / times)
        width, height = math.ceil(right / times) - x, math.ceil(bottom / times) - y
        paper = PictureOfText.new("L", (width * times, height * times))
        ImageDraw.Draw(paper).text((-x * times, -y * times), text, fill=255, font=font, anchor="ls")
        letters: Image = np.asarray(paper, np.uint8)
        if letters.size and times > 1:
            averaged = cv2.resize(letters, (width, height), interpolation=cv2.INTER_AREA)
            letters = cv2.LUT(averaged, _BRIGHTER).astype(np.uint8)
        # 0 to 256, so that a shift divides; and three columns for a pixel.
        alpha: NDArray[np.uint16] = np.repeat(letters.astype(np.uint16) + (letters >> 7), 3, axis=1).astype(np.uint16)
        add = alpha * np.tile(np.array(colour, np.uint16), letters.shape[1])
        keep: NDArray[np.uint16] = np.subtract(256, alpha, dtype=np.uint16)
        sprite = _Sprite(keep, add, x, y)
        self._sprites[key] = sprite
        if len(self._sprites) > _SPRITES:
            self._sprites.popitem(last=False)
        return sprite


def baseline(y: int, height: int, size_px: int) -> int:
    """The line on which text of a size stands in the middle of a row."""
    return y + round((height + 0.7 * size_px) / 2)


@dataclass(frozen=True, eq=False)
class _Sprite:
    """A text ready to be blended: picture * `keep` + `add`, over 256. Flattened: three equal columns for a pixel."""

    keep: NDArray[np.uint16]
    add: NDArray[np.uint16]
    left: int
    top: int


def _oversampling(size_px: int) -> int:
    """Small letters are drawn larger and averaged: placed on whole pixels, their distances would be uneven."""
    return 4 if size_px < 24 else 1


def readable(text: str) -> str:
    """The text in the letters the font has: accents are left out, anything else becomes a question mark."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c if " " <= c <= "~" or c == "·" else "?" for c in plain if not unicodedata.combining(c))


def darken(image: Image, rect: Rect, opacity: float, radius_px: int = 0) -> None:
    """A dark, half transparent panel; its corners are round where `radius_px` is above 0. Inside the picture only."""
    region = image[rect.y : rect.bottom, rect.x : rect.right]
    radius_px = min(radius_px, rect.width // 2, rect.height // 2)
    saved = [region[corner].copy() for corner in _corners(radius_px)]
    cv2.convertScaleAbs(region, region, 1.0 - opacity, opacity * PANEL_GREY)
    for corner, before, outside in zip(_corners(radius_px), saved, _outside(radius_px), strict=True):
        panel = region[corner].astype(np.float32)
        region[corner] = panel + (before - panel) * outside


def _corners(radius_px: int) -> list[tuple[slice, slice]]:
    first, last = slice(0, radius_px), slice(-radius_px, None)
    return [(rows, columns) for rows in (first, last) for columns in (first, last)] if radius_px else []


@lru_cache(maxsize=8)
def _outside(radius_px: int) -> list[NDArray[np.float32]]:
    """For each corner of a panel how much of every pixel (1, 0 to 1) lies outside of its rounding."""
    if not radius_px:
        return []
    from_centre = radius_px - 0.5 - np.arange(radius_px)
    outside = np.clip(np.hypot(from_centre[:, None], from_centre[None, :]) - radius_px + 0.5, 0, 1)
    upper_left = outside.astype(np.float32)[..., None]
    return [upper_left, upper_left[:, ::-1], upper_left[::-1], upper_left[::-1, ::-1]]


def fill(image: Image, x: int, y: int, width: int, height: int, colour: Colour) -> None:
    """A plain rectangle inside the picture."""
    image[y : y + height, x : x + width] = colour


def polyline(
    image: Image, points_px: NDArray[np.float32], colour: Colour, thickness_px: int, closed: bool = False
) -> None:
    """An anti-aliased line through points (n, 2) given with fractions of a pixel."""
    # Far points would overflow OpenCV's fixed-point numbers.
    limit = 4.0 * max(image.shape)
    fixed = (np.clip(points_px, -limit, limit) * (1 << SHIFT)).round().astype(np.int32)
    cv2.polylines(image, [fixed], closed, colour, thickness_px, cv2.LINE_AA, SHIFT)


def polyline_share(
    image: Image, points_px: NDArray[np.float32], share: float, colour: Colour, thickness_px: int
) -> None:
    """The first part, 0 to 1, of the closed line through points (n, 2)."""
    length = len(points_px) * min(share, 1.0)
    whole = int(length)
    closed = np.concatenate((points_px, points_px[:1]))
    start, stop = closed[whole : whole + 1], closed[whole + 1 : whole + 2]
    end = start + (length - whole) * (stop - start) if len(stop) else start
    polyline(image, np.concatenate((closed[: whole + 1], end)), colour, thickness_px)

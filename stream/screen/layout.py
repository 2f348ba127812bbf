"""Where the parts of the overlay go. Pure geometry: pictures from 160 pixels to 4K, landscape, portrait and strips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Part = Literal["label", "bars", "chart"]
Measure = Callable[[str, int], int]
"""Width in pixels of a text at a font size in pixels."""

MIN_FONT_PX = 11
"""Smaller letters cannot be read: a small picture gets fewer parts, not smaller letters."""

NAME_EM = 9.0
"""A longer class name is cut. This and what follows counts in font sizes."""

_PAD_EM = 0.75
_ROW_EM = 1.45
HEADLINE_EM = 2.2
LINE_EM = 1.3
"""Of the small font."""
_MOST_LINES, _LEAST_LINES = 4, 2
_CHART_HEIGHT_EM = 5.6
_STRIP_EM = 0.75
_CARD_EM = 15.5
_LEAST_EM: Mapping[Part, float] = {"label": 8.0, "chart": 8.0}
_SPARE_EM: Mapping[Part, float] = {"label": 7.0, "bars": 5.0, "chart": 0.0}
_SPARE_SHARE: Mapping[Part, float] = {"label": 0.5, "bars": 0.3, "chart": 0.0}
_CONTENTS: tuple[tuple[Part, ...], ...] = (("label", "bars", "chart"), ("label", "bars"), ("label",))
"""What a panel holds, the richest first."""
_DOCK_SHARE = 0.4
"""A dock takes no more of the picture's height."""
_FOOTER_SHARE = 0.09


@dataclass(frozen=True)
class Rect:
    """Pixels; `x`, `y` is the upper left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    def overlap(self, other: "Rect") -> int:
        """The area in common, in pixels."""
        width = min(self.right, other.right) - max(self.x, other.x)
        height = min(self.bottom, other.bottom) - max(self.y, other.y)
        return max(0, width) * max(0, height)


@dataclass(frozen=True)
class Layout:
    """`rows` class bars fit into `bars`, above the line with the action units if there is one; a part that does not fit
    into the picture is None.

    `strip` is along the upper edge of a panel without a chart, for the marks of events alone.
    """

    font_px: int
    header: Rect | None
    footer: Rect | None
    footer_lines: tuple[str, ...]
    panel: Rect | None
    label: Rect | None
    bars: Rect | None
    chart: Rect | None
    strip: Rect | None
    rows: int


def font_size(width: int, height: int) -> int:
    """The base font size in pixels for a picture."""
    return max(MIN_FONT_PX, round(min(width, height) * 0.025))


def row_height(font_px: int) -> int:
    return round(font_px * _ROW_EM)


def small_font(font_px: int) -> int:
    """The size of what matters less, in pixels."""
    return max(MIN_FONT_PX - 1, round(0.8 * font_px))


def wrap(text: str, font_px: int, width: int, measure: Measure) -> tuple[str, ...]:
    """Lines no wider than `width`, broken between words; a word that is wider stands alone."""
    lines: list[str] = []
    for word in text.split():
        if lines and measure(f"{lines[-1]} {word}", font_px) <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return tuple(lines)


def arrange(
    width: int,
    height: int,
    class_names: Sequence[str],
    disclaimer: str,
    measure: Measure,
    with_units: bool = False,
) -> tuple[Layout, ...]:
    """The layouts for a picture, the preferred one first; they differ in the place of the panel. `with_units`: with room
    for a line under the bars.

    A wide picture has a card in a lower corner, any other one a dock along the bottom edge or under the header.
    """
    font = font_size(width, height)
    pad = round(_PAD_EM * font)
    header = None
    if height >= 8 * font and width >= 12 * font:
        header = Rect(0, 0, width, round(1.9 * font))
    small = small_font(font)
    lines = wrap(disclaimer, small, width - 2 * pad, measure)
    footer_height = len(lines) * round(1.3 * small) + round(0.6 * small)
    footer = None
    if (
        lines
        and footer_height <= _FOOTER_SHARE * height
        and all(measure(line, small) <= width - 2 * pad for line in lines)
    ):
        footer = Rect(0, height - footer_height, width, footer_height)
    top = header.bottom if header else 0
    bottom = footer.y if footer else height

    def place(block: _Block, x: int, y: int) -> Layout:
        parts = {part: Rect(r.x + x, r.y + y, r.width, r.height) for part, r in block.parts.items()}
        panel = Rect(x, y, block.width, block.height) if parts else None
        label, bars, chart = parts.get("label"), parts.get("bars"), parts.get("chart")
        shown = lines if footer else ()
        strip = Rect(x, y, block.width, block.strip_px) if block.strip_px else None
        return Layout(font, header, footer, shown, panel, label, bars, chart, strip, block.rows)

    names_px = min(max(measure(name, font) for name in class_names), round(NAME_EM * font))
    builder = _Builder(font, pad, names_px + measure("100%", font) + 5 * font, len(class_names), int(with_units))
    dock = builder.build(width, min(_DOCK_SHARE * height, bottom - top), wide=width > 0.8 * height)
    layouts = [place(dock, 0, bottom - dock.height), place(dock, 0, top)]
    card_width = max(round(_CARD_EM * font), builder.bars_least_px + 2 * pad)
    if width >= 1.4 * height and card_width <= 0.36 * width:
        card = builder.build(card_width, bottom - top - 2 * pad, wide=False)
        if len(card.parts) >= len(dock.parts):
            y = bottom - pad - card.height
            layouts = [place(card, pad, y), place(card, width - pad - card_width, y), *layouts]
    return tuple(layouts)


@dataclass(frozen=True)
class _Block:
    """A panel with its parts, the panel's upper left corner at 0, 0."""

    width: int
    height: int
    parts: Mapping[Part, Rect]
    rows: int
    strip_px: int


@dataclass(frozen=True)
class _Builder:
    """Puts parts into a panel of a given width, side by side or below one another."""

    font_px: int
    pad_px: int
    bars_least_px: int
    classes: int
    lines_below_bars: int

    def build(self, width: int, max_height: float, wide: bool) -> _Block:
        """As many parts, class bars and lines as fit, and parts before bars before lines; `wide` allows all parts in one
        row. Without any part it has no height."""
        for content in _CONTENTS:
            rows = self._rows(content, width - 2 * self.pad_px, wide)
            if rows is None:
                continue
            for bars in range(self.classes, min(self.classes, 2) - 1, -1):
                for lines in range(_MOST_LINES, _LEAST_LINES - 1, -1):
                    block = self._stack(rows, width, bars, lines)
                    if block.height <= max_height:
                        return block
        return _Block(width, 0, {}, 0, 0)

    @property
    def _gap_px(self) -> int:
        return round(1.2 * self.font_px)

    def _least_px(self, part: Part) -> int:
        return self.bars_least_px if part == "bars" else round(_LEAST_EM[part] * self.font_px)

    def _rows(self, content: tuple[Part, ...], inner: int, wide: bool) -> list[tuple[Part, ...]] | None:
        """The parts in the fewest rows into which they fit; None where one of them does not fit at all."""
        splits: list[list[tuple[Part, ...]]] = [[content], [content[:2], content[2:]], [(part,) for part in content]]
        for rows in splits if wide else splits[1:]:
            rows = [row for row in rows if row]
            widths = [sum(map(self._least_px, row)) + self._gap_px * (len(row) - 1) for row in rows]
            if max(widths) <= inner:
                return rows
        return None

    def _stack(self, rows: list[tuple[Part, ...]], width: int, bars: int, lines: int) -> _Block:
        label = HEADLINE_EM * self.font_px + lines * LINE_EM * small_font(self.font_px)
        heights: dict[Part, int] = {
            "label": round(label),
            "bars": (bars + self.lines_below_bars) * row_height(self.font_px),
            "chart": round(_CHART_HEIGHT_EM * self.font_px),
        }
        between = round(0.6 * self.font_px)
        with_chart = any("chart" in row for row in rows)
        strip_px = 0 if with_chart else max(8, round(_STRIP_EM * self.font_px))
        parts: dict[Part, Rect] = {}
        y = self.pad_px if with_chart else strip_px + self.pad_px // 2
        for row in rows:
            tallest = max(heights[part] for part in row)
            x = self.pad_px
            for part, part_width in zip(row, self._widths(row, width - 2 * self.pad_px), strict=True):
                # What is written at the left starts at the top; it may use the whole height.
                part_height = heights[part] if part == "bars" else tallest
                parts[part] = Rect(x, y + (tallest - part_height) // 2, part_width, part_height)
                x += part_width + self._gap_px
            y += tallest + between
        return _Block(width, y - between + self.pad_px, parts, bars if "bars" in parts else 0, strip_px)

    def _widths(self, row: tuple[Part, ...], inner: int) -> list[int]:
        """The last part takes what the others leave; label and bars take more than their least width."""
        widths: list[int] = []
        left = inner - self._gap_px * (len(row) - 1)
        for place, part in enumerate(row[:-1]):
            spare = left - sum(map(self._least_px, row[place:]))
            widths.append(self._least_px(part) + round(min(_SPARE_SHARE[part] * spare, _SPARE_EM[part] * self.font_px)))
            left -= widths[-1]
        return [*widths, left]

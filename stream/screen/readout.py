"""The written parts of the overlay: what is to be said, a bar for every class, help, and that the run is paused."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from model.types import Event, Prediction
from stream.history import HistoryWindow
from stream.screen.chart import draw_strip
from stream.screen.layout import (
    HEADLINE_EM,
    LINE_EM,
    MIN_FONT_PX,
    NAME_EM,
    Rect,
    font_size,
    row_height,
    small_font,
    wrap,
)
from stream.screen.paint import (
    CALM,
    DIM,
    LIVELY,
    TEXT,
    TROUGH,
    WARNING,
    Colour,
    Image,
    TextPainter,
    baseline,
    darken,
    fill,
    mix,
)
from stream.screen.statement import Line, Statement, percent

KEYS = (("q  Esc", "quit"), ("space", "pause"), ("r", "start anew"), ("s", "snapshot"), ("h", "help"))
MARKS = (
    ("micro", "micro-expression, onset to offset, line at its apex"),
    ("macro", "macro-expression: longer than 0.5 s"),
    ("rejected", "rejected: a blink, speech, head motion ..."),
)
EXPLAINED = (
    "An event is a movement of the face away from its rest and back. It is known about a second and a half later: its class, when "
    "and how long, how likely it is a micro-expression, how sure its class is, and how far the face moved (44 px between "
    "the eyes).",
    "Smallest visible: a smaller movement would not be noticed now. Not watchable: nor would a large micro-expression.",
    "Window: what the model makes of the last second, event or not. On its own it says little.",
)


def draw_statement(
    image: Image, rect: Rect, said: Statement, colours: Mapping[str, Colour], text: TextPainter, font_px: int
) -> None:
    """The headline large, below it as many lines as there is room for."""
    small_px = small_font(font_px)
    colour = {"calm": CALM, "warning": WARNING, "event": colours.get(said.label or "", TEXT)}[said.tone]
    largest = round((2.1 if said.tone == "event" else 1.5) * font_px)
    beside_px = text.width(said.beside, small_px) + font_px // 2 if said.beside else 0
    size_px = text.fitted(said.headline, largest, rect.width - beside_px, MIN_FONT_PX)
    headline = text.shortened(said.headline, size_px, rect.width)
    line = rect.y + round(1.65 * font_px)
    text.draw(image, headline, rect.x, line, size_px, colour)
    beside_x = rect.x + text.width(headline, size_px) + font_px // 2
    if said.beside and beside_x + text.width(said.beside, small_px) <= rect.right:
        text.draw(image, said.beside, beside_x, line, small_px, DIM)
    line_px = round(LINE_EM * small_px)
    y = rect.y + round(HEADLINE_EM * font_px)
    first = True
    for one in said.lines:
        if y + line_px > rect.bottom + 1:
            return
        _draw_line(image, rect, y, one, TEXT if first else DIM, colours, text, small_px)
        y += line_px
        if first and said.progress is not None:
            bar_px = max(2, round(0.25 * font_px))
            if y + line_px > rect.bottom + 1:
                return
            bar_y = y + (line_px - bar_px) // 2
            fill(image, rect.x, bar_y, rect.width, bar_px, TROUGH)
            fill(image, rect.x, bar_y, round(rect.width * said.progress), bar_px, TEXT)
            y += line_px
        first = False


def draw_bars(
    image: Image,
    rect: Rect,
    rows: int,
    answer: Prediction | None,
    colours: Mapping[str, Colour],
    text: TextPainter,
    font_px: int,
) -> None:
    """A bar for every class, or for the `rows` likeliest; `colours` go by the order of the classes."""
    row = row_height(font_px)
    shares = answer.probabilities if answer is not None else None
    names = tuple(colours)
    longest_px = round(NAME_EM * font_px)
    names_width = min(max(text.width(name, font_px) for name in names), longest_px) + round(0.8 * font_px)
    if shares is not None and rows < len(names):
        likeliest = sorted(names, key=lambda name: -shares[name])[:rows]
        names = tuple(name for name in names if name in likeliest)
    percent_width = text.width(percent(1.0), font_px) + round(0.6 * font_px)
    bar_x, bar_width, bar_px = rect.x + names_width, rect.width - names_width - percent_width, round(0.5 * font_px)
    for place, name in enumerate(names[:rows]):
        y = rect.y + place * row
        line = baseline(y, row, font_px)
        leads = answer is not None and answer.label == name
        text.draw(image, text.shortened(name, font_px, longest_px), rect.x, line, font_px, TEXT if leads else DIM)
        bar_y = y + (row - bar_px) // 2
        fill(image, bar_x, bar_y, bar_width, bar_px, TROUGH)
        # A sliver of the colour is always there: the bars are the legend of the chart.
        exact = max(0.2 * font_px, (shares[name] if shares is not None else 0.0) * bar_width)
        whole = min(int(exact), bar_width)
        fill(image, bar_x, bar_y, whole, bar_px, colours[name])
        if whole < bar_width:
            fill(image, bar_x + whole, bar_y, 1, bar_px, mix(TROUGH, colours[name], exact - whole))
        if shares is not None:
            share = percent(shares[name])
            text.draw(image, share, rect.right - text.width(share, font_px), line, font_px, TEXT if leads else DIM)


def draw_units(image: Image, rect: Rect, rows: int, words: str, text: TextPainter, font_px: int) -> None:
    """The line under the `rows` class bars in `rect`."""
    row, small_px = row_height(font_px), small_font(font_px)
    line = baseline(rect.y + rows * row, row, small_px)
    text.draw(image, text.shortened(words, small_px, rect.width), rect.x, line, small_px, TEXT)


def draw_help(image: Image, disclaimer: str, text: TextPainter) -> Image:
    """A new picture with the keys and, where there is room, the disclaimer, the marks and what they mean."""
    image = image.copy()
    height, width = image.shape[:2]
    font = font_size(width, height)
    small = small_font(font)
    pad, gap = round(1.2 * font), round(0.6 * font)
    inner = min(width - 2 * pad, 26 * font)
    lines = {
        "explained": [wrap(paragraph, small, inner, text.width) for paragraph in EXPLAINED],
        "disclaimer": [wrap(disclaimer, small, inner, text.width)],
    }
    line, key_row = round(1.35 * small), round(1.5 * font)
    sections = [
        _Section("keys", len(KEYS) * key_row, 0),
        _Section("marks", len(MARKS) * row_height(font), 2),
        _Section("explained", sum(len(one) * line + gap // 2 for one in lines["explained"]), 3),
        _Section("disclaimer", len(lines["disclaimer"][0]) * line, 1),
    ]
    sections = [section for section in sections if section.height]
    while sum(section.height + gap for section in sections) - gap + 2 * pad > height:
        sections.remove(max(sections, key=lambda section: section.rank))
        if not sections:
            return image
    if inner < 8 * font:
        return image
    total = sum(section.height + gap for section in sections) - gap
    panel = _centred(image, inner + 2 * pad, total + 2 * pad)
    darken(image, panel, 0.94, gap)
    y = panel.y + pad
    for section in sections:
        area = Rect(panel.x + pad, y, inner, section.height)
        if section.name == "keys":
            _draw_keys(image, area, key_row, font, text)
        elif section.name == "marks":
            _draw_marks(image, area, font, text)
        else:
            colour = DIM if section.name == "explained" else CALM
            top = area.y
            for paragraph in lines[section.name]:
                for row in paragraph:
                    text.draw(image, row, area.x, baseline(top, line, small), small, colour)
                    top += line
                top += gap // 2
        y += section.height + gap
    return image


def draw_paused(image: Image, text: TextPainter) -> Image:
    """A new picture with PAUSED in its middle."""
    image = image.copy()
    font = round(1.6 * font_size(image.shape[1], image.shape[0]))
    text_width = text.width("PAUSED", font)
    panel = _centred(image, text_width + round(3.2 * font), round(2.2 * font))
    if panel.x < 0 or panel.y < 0:
        return image
    darken(image, panel, 0.8, panel.height // 2)
    bar = max(2, round(0.2 * font))
    x, y, height = panel.x + font, panel.y + round(0.75 * font), panel.height - 2 * round(0.75 * font)
    fill(image, x, y, bar, height, WARNING)
    fill(image, x + 2 * bar, y, bar, height, WARNING)
    text.draw(image, "PAUSED", x + round(1.2 * font), baseline(panel.y, panel.height, font), font, TEXT)
    return image


def _draw_line(
    image: Image,
    rect: Rect,
    y: int,
    line: Line,
    colour: Colour,
    colours: Mapping[str, Colour],
    text: TextPainter,
    size_px: int,
) -> None:
    """The longest variant that fits; the shortest one cut where none does."""
    for texts in line.variants:
        if text.row_width(texts, size_px) <= rect.width:
            break
    else:
        texts = (text.shortened(line.variants[-1][0], size_px, rect.width),)
    bottom = baseline(y, round(LINE_EM * size_px), size_px)
    text.draw_row(image, [(part, colour) for part in texts], rect.x, bottom, size_px)


@dataclass(frozen=True)
class _Section:
    """`rank`: sections of a higher one are left out first where there is no room."""

    name: str
    height: int
    rank: int


def _draw_keys(image: Image, area: Rect, row: int, font: int, text: TextPainter) -> None:
    key_width = max(text.width(key, font) for key, _ in KEYS) + round(1.5 * font)
    for place, (key, what) in enumerate(KEYS):
        line = baseline(area.y + place * row, row, font)
        text.draw(image, key, area.x, line, font, TEXT)
        text.draw(image, what, area.x + key_width, line, font, DIM)


def _draw_marks(image: Image, area: Rect, font: int, text: TextPainter) -> None:
    """The marks as they are on the strip, each with its meaning."""
    small, row = small_font(font), row_height(font)
    strip = Rect(area.x, area.y, round(3.2 * font), max(8, round(0.75 * font)))
    times_s = np.linspace(0.0, 1.0, 5)
    window = HistoryWindow(times_s, np.zeros((5, 1), np.float32), np.ones(5, np.bool_), 1.0)
    samples = {
        "micro": Event(1, "micro", "", 0.38, 0.48, 0.62, 1.0, 1.0),
        "macro": Event(1, "macro", "", 0.2, 0.48, 0.8, 1.0, 1.0),
        "rejected": Event(1, "micro", "", 0.45, 0.48, 0.55, 1.0, 1.0, "blink"),
    }
    for place, (mark, meaning) in enumerate(MARKS):
        y = area.y + place * row
        draw_strip(
            image,
            Rect(strip.x, y + (row - strip.height) // 2, strip.width, strip.height),
            window,
            [samples[mark]],
            {"": LIVELY[2]},
        )
        x = strip.right + font
        meaning = text.shortened(meaning, small, area.right - x)
        text.draw(image, meaning, x, baseline(y, row, small), small, DIM)


def _centred(image: Image, width: int, height: int) -> Rect:
    return Rect((image.shape[1] - width) // 2, (image.shape[0] - height) // 2, width, height)

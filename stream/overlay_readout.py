"""The written parts of the overlay's panel: what is to be said, and a bar for every class."""

from collections.abc import Mapping

from model.types import Prediction
from stream.overlay_layout import HEADLINE_EM, LINE_EM, MIN_FONT_PX, NAME_EM, Rect, row_height, small_font
from stream.overlay_parts import Image, TextPainter, baseline, fill, mix
from stream.palette import CALM, DIM, TEXT, TROUGH, WARNING, Colour
from stream.statement import Line, Statement
from stream.words import percent


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

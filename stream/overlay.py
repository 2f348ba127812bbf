"""Drawing only: what a frame's result says, drawn over a copy of the frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.contract import NEUTRAL
from model.types import FrameResult
from stream.history import ProbabilityHistory
from stream.overlay_chart import draw_chart
from stream.overlay_layout import MIN_FONT_PX, NAME_EM, Layout, Rect, arrange, font_size, row_height, small_font, wrap
from stream.overlay_parts import TextPainter, darken, fill, mix, polyline
from stream.palette import CALM, Colour, class_colours
from stream.timing import Health

TEXT: Colour = (240, 240, 240)
DIM: Colour = (172, 168, 165)
TRACK: Colour = (70, 66, 64)
WARNING: Colour = (60, 180, 255)
REASONS = {"no_face": "no face", "tracking_lost": "tracking lost", "face_too_small": "face too small"}
KEYS = (("q  Esc", "quit"), ("space", "pause"), ("r", "reset"), ("s", "snapshot"), ("h", "help"))

_PANEL_OPACITY = 0.72
_STAY_S = 2.0
"""The panel stays in its place at least so long."""


class Overlay:
    """Draws results; keeps texts and layouts between pictures. For one thread and one stream at a time.

    `window_frames` is the contract's number of frames, for the progress of filling. Colours go by the order of the
    classes; `neutral` is grey.
    """

    def __init__(self, class_names: Sequence[str], disclaimer: str, window_frames: int = 30) -> None:
        self._names = tuple(class_names)
        self._disclaimer = disclaimer
        self._window_frames = window_frames
        self._text = TextPainter()
        self._colours = class_colours(self._names)
        self._size_px = (0, 0)
        self._layouts: tuple[Layout, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forgets where the panel was."""
        self._place = 0
        self._moved_s = -np.inf

    def draw(self, result: FrameResult, history: ProbabilityHistory, health: Health) -> NDArray[np.uint8]:
        """A new BGR picture of the frame's size; the frame itself is left as it is."""
        image = result.frame.image.copy()
        layout = self._choose(result)
        if result.face is not None:
            self._outline(image, result, layout.font_px)
        if layout.header is not None:
            self._header(image, layout.header, layout.font_px, health)
        if layout.footer is not None:
            self._footer(image, layout.footer, layout.footer_lines, small_font(layout.font_px))
        if layout.panel is not None:
            docked = layout.panel.width == image.shape[1]
            darken(image, layout.panel, _PANEL_OPACITY, 0 if docked else round(0.6 * layout.font_px))
        if layout.label is not None:
            self._label(image, layout.label, layout.font_px, result)
        if layout.bars is not None:
            self._bars(image, layout.bars, layout, result)
        if layout.chart is not None:
            colours = [self._colours[name] for name in self._names]
            calm = [name == NEUTRAL for name in self._names]
            draw_chart(image, layout.chart, history.window(), colours, calm, self._text, layout.font_px)
        return image

    def draw_help(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A new picture with the keys and, where there is room, the disclaimer in its middle."""
        image = image.copy()
        height, width = image.shape[:2]
        font = font_size(width, height)
        row, pad = round(1.7 * font), round(1.2 * font)
        inner = min(width - 2 * pad, 26 * font)
        lines = wrap(self._disclaimer, font, inner, self._text.width)
        keys_height = len(KEYS) * row
        panel_height = keys_height + (len(lines) + 1) * row_height(font) + pad
        if panel_height > height:
            lines, panel_height = (), keys_height + 2 * pad
        if inner < 8 * font or panel_height > height:
            return image
        panel = _centred(image, inner + 2 * pad, panel_height)
        darken(image, panel, 0.94, round(0.6 * font))
        x, y = panel.x + pad, panel.y + pad
        key_width = max(self._text.width(key, font) for key, _ in KEYS) + round(1.5 * font)
        for key, what in KEYS:
            self._text.draw(image, key, x, _baseline(y, row, font), font, TEXT)
            self._text.draw(image, what, x + key_width, _baseline(y, row, font), font, DIM)
            y += row
        y += row_height(font) // 2
        for line in lines:
            self._text.draw(image, line, x, _baseline(y, row_height(font), font), font, CALM)
            y += row_height(font)
        return image

    def draw_paused(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A new picture with PAUSED in its middle."""
        image = image.copy()
        font = round(1.6 * font_size(image.shape[1], image.shape[0]))
        text_width = self._text.width("PAUSED", font)
        panel = _centred(image, text_width + round(3.2 * font), round(2.2 * font))
        if panel.x < 0 or panel.y < 0:
            return image
        darken(image, panel, 0.8, panel.height // 2)
        bar = max(2, round(0.2 * font))
        x, y, height = panel.x + font, panel.y + round(0.75 * font), panel.height - 2 * round(0.75 * font)
        fill(image, x, y, bar, height, WARNING)
        fill(image, x + 2 * bar, y, bar, height, WARNING)
        self._text.draw(image, "PAUSED", x + round(1.2 * font), _baseline(panel.y, panel.height, font), font, TEXT)
        return image

    def _choose(self, result: FrameResult) -> Layout:
        """The layout whose panel covers the least of the face; it changes only for a clear reason and not too often."""
        height, width = result.frame.image.shape[:2]
        if (width, height) != self._size_px:
            self._size_px = (width, height)
            self._layouts = arrange(width, height, self._names, self._disclaimer, self._text.width)
            self.reset()
        now_s = result.frame.time_s
        if result.face is not None and len(result.face.outline) and not 0 <= now_s - self._moved_s < _STAY_S:
            left, top = result.face.outline.min(axis=0)
            right, bottom = result.face.outline.max(axis=0)
            face = Rect(int(left), int(top), int(right - left) + 1, int(bottom - top) + 1)
            covered = [face.overlap(layout.panel) if layout.panel else 0 for layout in self._layouts]
            best = int(np.argmin(covered))
            if covered[self._place] - covered[best] > 0.05 * face.width * face.height:
                self._place, self._moved_s = best, now_s
        return self._layouts[self._place]

    def _outline(self, image: NDArray[np.uint8], result: FrameResult, font: int) -> None:
        assert result.face is not None
        points = result.face.outline
        if len(points) < 3:
            return
        line_px = max(1, round(font / 9))
        if result.prediction is not None:
            polyline(image, points, self._colours[result.prediction.label], line_px, closed=True)
            return
        polyline(image, points, DIM if result.status == "filling" else WARNING, line_px, closed=True)
        if result.status == "filling" and result.filled > 0:
            # The part of the window that is filled, as the same part of the outline.
            length = len(points) * min(1.0, result.filled / self._window_frames)
            whole = int(length)
            closed = np.concatenate((points, points[:1]))
            end = closed[whole : whole + 1] + (length - whole) * (
                closed[whole + 1 : whole + 2] - closed[whole : whole + 1]
            )
            polyline(image, np.concatenate((closed[: whole + 1], end)), TEXT, line_px)

    def _header(self, image: NDArray[np.uint8], rect: Rect, font: int, health: Health) -> None:
        darken(image, rect, _PANEL_OPACITY)
        if health.frames_total:
            done = min(1.0, health.frames / health.frames_total)
            line_px = max(1, round(font / 8))
            fill(image, rect.x, rect.bottom - line_px, round(rect.width * done), line_px, DIM)
        baseline = _baseline(rect.y, rect.height, font)
        gap = round(1.2 * font)
        edge = rect.right - round(0.75 * font)
        for text, colour in _facts(health):
            width = self._text.width(text, font)
            if edge - width < rect.x + gap:
                break
            self._text.draw(image, text, edge - width, baseline, font, colour)
            edge -= width + gap
        x = rect.x + round(0.75 * font)
        room = edge - x
        # The source comes first; of the rest as much as there is room for.
        facts = (health.provider, health.engine, health.threads)
        source_width = self._text.width(health.source, font)
        for count in (3, 2, 1):
            text = " · ".join(fact for fact in facts[:count] if fact)
            if text and source_width + gap + self._text.width(text, font) <= room:
                self._text.draw(image, text, x + source_width + gap, baseline, font, DIM)
                break
        source = self._text.shortened(health.source, font, room)
        if len(source) >= min(8, len(health.source)):
            self._text.draw(image, source, x, baseline, font, TEXT)

    def _footer(self, image: NDArray[np.uint8], rect: Rect, lines: tuple[str, ...], size_px: int) -> None:
        darken(image, rect, _PANEL_OPACITY)
        x = round(0.95 * size_px)
        line_px = (rect.height - round(0.6 * size_px)) // len(lines)
        for place, line in enumerate(lines):
            y = rect.y + round(0.3 * size_px) + place * line_px
            self._text.draw(image, line, x, _baseline(y, line_px, size_px), size_px, DIM)

    def _label(self, image: NDArray[np.uint8], rect: Rect, font: int, result: FrameResult) -> None:
        """The label large, or why there is none."""
        if result.prediction is None:
            filling = result.status == "filling"
            reason = (
                f"filling {result.filled}/{self._window_frames}"
                if filling
                else REASONS.get(result.status, result.status)
            )
            size = self._text.fitted(reason, round(1.5 * font), rect.width, MIN_FONT_PX)
            middle = rect.y + (rect.height - round(0.8 * font) * filling) // 2
            self._text.draw(image, reason, rect.x, _baseline(middle, 0, size), size, CALM if filling else WARNING)
            if filling:
                bar_px = max(2, round(0.25 * font))
                y = rect.bottom - round(0.6 * font)
                fill(image, rect.x, y, rect.width, bar_px, TRACK)
                fill(image, rect.x, y, round(rect.width * min(1.0, result.filled / self._window_frames)), bar_px, TEXT)
            return
        label, colour = result.prediction.label, self._colours[result.prediction.label]
        size = self._text.fitted(label, round(2.1 * font), rect.width, MIN_FONT_PX)
        label = self._text.shortened(label, size, rect.width)
        self._text.draw(image, label, rect.x, rect.y + round(1.65 * font), size, colour)
        confidence = f"{result.prediction.confidence:.0%} confidence"
        self._text.draw(image, confidence, rect.x, rect.bottom - round(0.2 * font), font, DIM)

    def _bars(self, image: NDArray[np.uint8], rect: Rect, layout: Layout, result: FrameResult) -> None:
        font, row = layout.font_px, row_height(layout.font_px)
        answer = result.prediction.probabilities if result.prediction is not None else None
        names = self._names
        if answer is not None and layout.rows < len(names):
            likeliest = sorted(names, key=lambda name: -answer[name])[: layout.rows]
            names = tuple(name for name in names if name in likeliest)
        longest_px = round(NAME_EM * font)
        names_width = min(max(self._text.width(name, font) for name in self._names), longest_px) + round(0.8 * font)
        percent_width = self._text.width("100%", font) + round(0.6 * font)
        bar_x, bar_width, bar_px = rect.x + names_width, rect.width - names_width - percent_width, round(0.5 * font)
        for place, name in enumerate(names[: layout.rows]):
            y = rect.y + place * row
            baseline = _baseline(y, row, font)
            leads = result.prediction is not None and result.prediction.label == name
            shown = self._text.shortened(name, font, longest_px)
            self._text.draw(image, shown, rect.x, baseline, font, TEXT if leads else DIM)
            bar_y = y + (row - bar_px) // 2
            fill(image, bar_x, bar_y, bar_width, bar_px, TRACK)
            # A sliver of the colour is always there: the bars are the legend of the chart.
            exact = max(0.2 * font, (answer[name] if answer is not None else 0.0) * bar_width)
            whole = min(int(exact), bar_width)
            colour = self._colours[name]
            fill(image, bar_x, bar_y, whole, bar_px, colour)
            if whole < bar_width:
                fill(image, bar_x + whole, bar_y, 1, bar_px, mix(TRACK, colour, exact - whole))
            if answer is not None:
                percent = f"{answer[name]:.0%}"
                x = rect.right - self._text.width(percent, font)
                self._text.draw(image, percent, x, baseline, font, TEXT if leads else DIM)


def _facts(health: Health) -> list[tuple[str, Colour]]:
    """For the status line, the most important one first."""
    even = abs(health.fps_read - health.fps_classified) <= 0.05 * health.fps_read
    rate = f"{health.fps_classified:.1f} fps" if even else f"{health.fps_classified:.1f} of {health.fps_read:.1f} fps"
    facts = [(rate, TEXT)]
    if health.latency_ms is not None:
        facts.append((f"{health.latency_ms:.0f} ms", TEXT))
    if health.dropped_total:
        facts.append((f"{health.dropped_total} dropped", WARNING))
    if health.frames_total:
        facts.append((f"{health.frames}/{health.frames_total}", DIM))
    return facts


def _baseline(y: int, height: int, size_px: int) -> int:
    """The line on which text of a size stands in the middle of a row."""
    return y + round((height + 0.7 * size_px) / 2)


def _centred(image: NDArray[np.uint8], width: int, height: int) -> Rect:
    return Rect((image.shape[1] - width) // 2, (image.shape[0] - height) // 2, width, height)

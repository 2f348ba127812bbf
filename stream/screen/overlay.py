"""Drawing only: what a frame's result and the last seconds say, drawn over a copy of the frame."""

import time
from collections.abc import Sequence

import numpy as np

from model.contract import ActionUnits
from model.types import FrameResult
from stream.health import Connection, Health
from stream.history import LiveHistory, Recent
from stream.screen.chart import draw_chart, draw_strip
from stream.screen.face_marks import draw_faces, face_box
from stream.screen.layout import Layout, Rect, arrange, small_font
from stream.screen.paint import DIM, TEXT, WARNING, Colour, Image, TextPainter, baseline, class_colours, darken, fill
from stream.screen.readout import draw_bars, draw_help, draw_paused, draw_statement, draw_units
from stream.screen.statement import Waits, disconnected, face_words, statement, units_words

_PANEL_OPACITY = 0.72
_STAY_S = 2.0
"""The panel stays in its place at least so long."""


class Overlay:
    """Draws results; keeps texts and layouts between pictures. For one thread and one stream at a time.

    `window_frames` is the contract's number of frames, for the progress of filling. Without `with_events` nothing is
    said of events and calibration. Colours go by the order of the classes; `neutral` is grey. `units`: the action units
    that the model tells, which get a line under the bars of the classes.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        disclaimer: str,
        window_frames: int = 30,
        with_events: bool = True,
        units: ActionUnits | None = None,
    ) -> None:
        self._names = tuple(class_names)
        self._disclaimer = disclaimer
        self._units = units
        self._waits = Waits.of_run(window_frames, with_events)
        self._text = TextPainter()
        self._colours = class_colours(self._names)
        self._size_px = (0, 0)
        self._layouts: tuple[Layout, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forgets where the panel was."""
        self._place = 0
        self._moved_s = -np.inf

    def draw(self, result: FrameResult, history: LiveHistory, health: Health) -> Image:
        """A new BGR picture of the frame's size; the frame itself is left as it is."""
        image = result.frame.image.copy()
        recent = history.recent()
        layout = self._choose(result)
        taken = [rect for rect in (layout.header, layout.footer, layout.panel) if rect is not None]
        draw_faces(image, result, recent, self._waits, self._colours, self._text, layout.font_px, taken)
        if layout.header is not None:
            self._header(image, layout.header, layout.font_px, health)
        if layout.footer is not None:
            self._footer(image, layout.footer, layout.footer_lines, small_font(layout.font_px))
        if layout.panel is not None:
            self._panel(image, layout, layout.panel, result, recent, health.disconnected)
        return image

    def draw_help(self, image: Image) -> Image:
        """A new picture that says how to use and how to read this one, as far as there is room."""
        return draw_help(image, self._disclaimer, self._text)

    def draw_paused(self, image: Image) -> Image:
        """A new picture with PAUSED in its middle."""
        return draw_paused(image, self._text)

    def _choose(self, result: FrameResult) -> Layout:
        """The layout whose panel covers the least of the faces; it changes only for a clear reason and not too often."""
        height, width = result.frame.image.shape[:2]
        if (width, height) != self._size_px:
            self._size_px = (width, height)
            with_units = self._units is not None
            self._layouts = arrange(width, height, self._names, self._disclaimer, self._text.width, with_units)
            self.reset()
        now_s = result.frame.time_s
        faces = [face_box(face) for face in result.faces if len(face.face.outline)]
        if faces and not 0 <= now_s - self._moved_s < _STAY_S:
            panels = [layout.panel for layout in self._layouts]
            covered = [sum(face.overlap(panel) for face in faces) if panel else 0 for panel in panels]
            best = int(np.argmin(covered))
            if covered[self._place] - covered[best] > 0.05 * faces[0].width * faces[0].height:
                self._place, self._moved_s = best, now_s
        return self._layouts[self._place]

    def _panel(
        self,
        image: Image,
        layout: Layout,
        panel: Rect,
        result: FrameResult,
        recent: Recent,
        lost: Connection | None,
    ) -> None:
        font = layout.font_px
        docked = panel.width == image.shape[1]
        darken(image, panel, _PANEL_OPACITY, 0 if docked else round(0.6 * font))
        if layout.label is not None:
            said = disconnected(lost, time.monotonic()) if lost else statement(result, recent, self._waits)
            draw_statement(image, layout.label, said, self._colours, self._text, font)
        if layout.bars is not None:
            answer = None if lost else result.prediction
            draw_bars(image, layout.bars, layout.rows, answer, self._colours, self._text, font)
            if self._units is not None:
                draw_units(image, layout.bars, layout.rows, units_words(answer, self._units), self._text, font)
        events = recent.marks if self._waits.calibration_s is not None else None
        if layout.chart is not None:
            # Whose chart it is, where that could be another's.
            caption = face_words(result.faces[0].track) if len(result.faces) > 1 else ""
            draw_chart(image, layout.chart, recent.probabilities, events, self._colours, self._text, font, caption)
        if layout.strip is not None and events is not None:
            draw_strip(image, layout.strip, recent.probabilities, events, self._colours)

    def _header(self, image: Image, rect: Rect, font: int, health: Health) -> None:
        darken(image, rect, _PANEL_OPACITY)
        if health.frames_total:
            done = min(1.0, health.frames / health.frames_total)
            line_px = max(1, round(font / 8))
            fill(image, rect.x, rect.bottom - line_px, round(rect.width * done), line_px, DIM)
        line = baseline(rect.y, rect.height, font)
        gap = round(1.2 * font)
        edge = rect.right - round(0.75 * font)
        for text, colour in _facts(health):
            width = self._text.width(text, font)
            if edge - width < rect.x + gap:
                break
            self._text.draw(image, text, edge - width, line, font, colour)
            edge -= width + gap
        x = rect.x + round(0.75 * font)
        room = edge - x
        # The source comes first; of the rest as much as there is room for.
        facts = (health.provider, health.engine, health.threads)
        source_width = self._text.width(health.source, font)
        for count in (3, 2, 1):
            text = " · ".join(fact for fact in facts[:count] if fact)
            if text and source_width + gap + self._text.width(text, font) <= room:
                self._text.draw(image, text, x + source_width + gap, line, font, DIM)
                break
        source = self._text.shortened(health.source, font, room)
        if len(source) >= min(8, len(health.source)):
            self._text.draw(image, source, x, line, font, TEXT)

    def _footer(self, image: Image, rect: Rect, lines: tuple[str, ...], size_px: int) -> None:
        darken(image, rect, _PANEL_OPACITY)
        x = round(0.95 * size_px)
        line_px = (rect.height - round(0.6 * size_px)) // len(lines)
        for place, line in enumerate(lines):
            y = rect.y + round(0.3 * size_px) + place * line_px
            self._text.draw(image, line, x, baseline(y, line_px, size_px), size_px, DIM)


def _facts(health: Health) -> list[tuple[str, Colour]]:
    """For the status line, the most important one first."""
    even = abs(health.fps_read - health.fps_classified) <= 0.05 * health.fps_read
    rate = f"{health.fps_classified:.1f} fps" if even else f"{health.fps_classified:.1f} of {health.fps_read:.1f} fps"
    facts = [(rate, TEXT)]
    if health.disconnected is not None:
        facts = [(health.disconnected.state, WARNING)]
    if health.latency_ms is not None:
        facts.append((f"{health.latency_ms:.0f} ms", TEXT))
    if health.dropped_total:
        facts.append((f"{health.dropped_total} dropped", WARNING))
    if health.frames_total:
        facts.append((f"{health.frames}/{health.frames_total}", DIM))
    return facts

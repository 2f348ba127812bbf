"""The picture of an event: onset, apex and offset side by side, the motion between the first two, and its time line.

The last seconds of every followed face are kept for it, since an event is decided when its crops are long past.
"""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from model.types import Event, FaceResult, FrameResult, Image
from stream.events.motion import NOSE_BRIDGE, REGIONS, FlowBetween
from stream.screen.paint import DIM, TEXT, Colour, TextPainter, class_colours, mix, polyline
from stream.screen.statement import event_name, event_units, percent

SPAN_S = 8.0
"""An event is decided about a second after its apex; a macro-expression may last some seconds."""
_CLOSEST_S = 1 / 65
"""Of faster sources not every frame is kept: 8 s of a face are at most 520 crops, 8.5 MB."""
_MOST_OFF_S = 0.1
"""A crop that is further from a moment does not show it."""
PANEL_PX = 256
_GAP_PX = 12
_HEAD_PX, _CAPTION_PX, _CHART_PX, _AXIS_PX = 46, 26, 116, 24
_PAPER: Colour = (34, 30, 28)
_BLANK: Colour = (58, 53, 50)
_ARROW_STEP_PX = 8
"""Between arrows, in crop pixels of a crop of 128."""
_ARROW_LEAST_PX = 0.15
_ARROW_LONGEST_PX = 14.0
"""The longest arrow, in crop pixels; a picture says how many times the motion is enlarged."""
_FONT_PX, _SMALL_PX = 19, 15


@dataclass(frozen=True, eq=False)
class SeenMoment:
    """A face at one time: `crop` uint8 grey (size, size), `probabilities` of the classes, None where the model said nothing."""

    time_s: float
    crop: Image
    probabilities: dict[str, float] | None


@dataclass(frozen=True, eq=False)
class EventMoments:
    """An event with its crops at onset, apex and offset (uint8 grey), None where there is none within 0.1 s.

    `times_s` (n,) and `shares` (n,): the model's probability of the event's class around it, NaN where it said nothing.
    """

    event: Event
    onset: Image | None
    apex: Image | None
    offset: Image | None
    times_s: NDArray[np.float64]
    shares: NDArray[np.float64]


class RecentCrops:
    """Takes every result in order; `of` finds an event's moments. Faces that are gone are forgotten after `span_s`."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        if not span_s > 0:
            raise ValueError(f"span_s: expected more than 0, found {span_s}")
        self._span_s = span_s
        self.reset()

    def __len__(self) -> int:
        """Crops kept."""
        return sum(map(len, self._faces.values()))

    def reset(self) -> None:
        self._faces: dict[int, deque[SeenMoment]] = {}

    def add(self, result: FrameResult) -> None:
        now_s = result.frame.time_s
        for face in result.faces:
            moments = self._faces.setdefault(face.track, deque())
            if moments and now_s < moments[-1].time_s:
                moments.clear()  # the clock was set anew
            if not moments or now_s - moments[-1].time_s >= _CLOSEST_S:
                moments.append(_moment(face, now_s))
        for track, moments in list(self._faces.items()):
            while moments and not 0 <= now_s - moments[0].time_s <= self._span_s:
                moments.popleft()
            if not moments:
                del self._faces[track]

    def of(self, event: Event, around_s: float = 1.0) -> EventMoments:
        """The event with what is left of its moments, and the answers from so long before to so long after it."""
        moments = tuple(self._faces.get(event.track, ()))
        first_s, last_s = event.onset_s - around_s, event.offset_s + around_s
        near = [moment for moment in moments if first_s <= moment.time_s <= last_s]
        shares = [np.nan if m.probabilities is None else m.probabilities.get(event.label, np.nan) for m in near]
        times_s = np.array([moment.time_s for moment in near], np.float64)
        onset, apex, offset = (_nearest(moments, time_s) for time_s in (event.onset_s, event.apex_s, event.offset_s))
        return EventMoments(event, onset, apex, offset, times_s, np.array(shares, np.float64))


def _moment(face: FaceResult, time_s: float) -> SeenMoment:
    crop = face.face.crop
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if crop.ndim == 3 else crop
    return SeenMoment(time_s, grey, None if face.prediction is None else dict(face.prediction.probabilities))


def _nearest(moments: tuple[SeenMoment, ...], time_s: float) -> Image | None:
    best = min(moments, key=lambda moment: abs(moment.time_s - time_s), default=None)
    return None if best is None or abs(best.time_s - time_s) > _MOST_OFF_S else best.crop


class EventSheet:
    """Draws events of a model. `faceless`: the outline of a face that is nobody's in place of the crops."""

    def __init__(self, contract: ClipContract, faceless: bool = False) -> None:
        self._geometry = contract.crop
        self._colours = class_colours(contract.class_names)
        self._faceless = faceless
        self._text = TextPainter()
        self._flow = FlowBetween(contract)

    def draw(self, moments: EventMoments) -> Image:
        """BGR uint8."""
        event = moments.event
        width = 4 * PANEL_PX + 5 * _GAP_PX
        height = _HEAD_PX + PANEL_PX + _CAPTION_PX + _CHART_PX + _AXIS_PX + _GAP_PX
        sheet: NDArray[np.uint8] = np.full((height, width, 3), _PAPER, np.uint8)
        self._head(sheet, event)
        crops = (moments.onset, moments.apex, moments.offset)
        captions = [f"{name} {time_s:.2f} s" for name, time_s in _ticks(event)]
        for place, (crop, caption) in enumerate(zip(crops, captions, strict=True)):
            self._put(sheet, self._panel(crop), place, caption)
        arrows, caption = self._motion(moments)
        self._put(sheet, arrows, 3, caption)
        self._chart(sheet, moments, _HEAD_PX + PANEL_PX + _CAPTION_PX)
        return sheet

    def _head(self, sheet: Image, event: Event) -> None:
        name = event_name(event)
        words = [(name, self._colours[event.label]), (event.kind, TEXT)]
        words += [(f"{event.duration_s:.2f} s", DIM), ("·", DIM), (f"confidence {percent(event.confidence)}", DIM)]
        if event.probability is not None:
            words += [("·", DIM), (f"probability {percent(event.probability)}", DIM)]
        words += [("·", DIM), (f"peak {event.peak_px:.1f} px", DIM), ("·", DIM), (f"face {event.track}", DIM)]
        words += [("·", DIM), (event_units(event), TEXT)] if event.action_units else []
        self._text.draw_row(sheet, words, _GAP_PX, 30, _FONT_PX)

    def _put(self, sheet: Image, panel: Image, place: int, caption: str) -> None:
        x = _GAP_PX + place * (PANEL_PX + _GAP_PX)
        sheet[_HEAD_PX : _HEAD_PX + PANEL_PX, x : x + PANEL_PX] = panel
        self._text.draw(sheet, caption, x, _HEAD_PX + PANEL_PX + 19, _SMALL_PX, DIM)

    def _panel(self, crop: Image | None) -> Image:
        """A crop enlarged; a blank where there is none, a drawn face where none may be shown."""
        if crop is None or self._faceless:
            panel: NDArray[np.uint8] = np.full((PANEL_PX, PANEL_PX, 3), _BLANK, np.uint8)
            if crop is None:
                self._text.draw(panel, "no picture", 90, PANEL_PX // 2, _SMALL_PX, DIM)
            else:
                self._draw_face(panel)
            return panel
        large = cv2.resize(crop, (PANEL_PX, PANEL_PX), interpolation=cv2.INTER_CUBIC)
        return cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)

    def _draw_face(self, panel: Image) -> None:
        """The regions whose motion is measured, at their places in every aligned crop."""
        scale = PANEL_PX / self._geometry.size_px
        iod_px, eye_px = self._geometry.iod_px * scale, self._geometry.eye_line_px * scale
        for x, y, half_width, half_height in (*REGIONS.values(), NOSE_BRIDGE):
            centre = (round(PANEL_PX / 2 + x * iod_px), round(eye_px + y * iod_px))
            cv2.ellipse(
                panel, centre, (round(half_width * iod_px), round(half_height * iod_px)), 0, 0, 360, DIM, 1, cv2.LINE_AA
            )

    def _motion(self, moments: EventMoments) -> tuple[Image, str]:
        """Arrows from onset to apex on the darkened apex, and what they show."""
        if moments.onset is None or moments.apex is None:
            return self._panel(None), "motion not known"
        flow = self._flow.px(moments.onset, moments.apex)
        panel = _mixed(self._panel(moments.apex), _PAPER, 0.55)
        times = arrow_enlargement(flow)
        if not times:
            return panel, f"onset to apex: under {_ARROW_LEAST_PX} px"
        draw_arrows(panel, flow, self._colours[moments.event.label], times)
        return panel, f"onset to apex, enlarged {times} times"

    def _chart(self, sheet: Image, moments: EventMoments, top: int) -> None:
        """The probability of the event's class around it, with onset, apex and offset."""
        event, colour = moments.event, self._colours[moments.event.label]
        left, right, bottom = _GAP_PX, sheet.shape[1] - _GAP_PX, top + _CHART_PX
        first_s, last_s = event.onset_s - 1.0, event.offset_s + 1.0

        def across(time_s: float) -> float:
            return left + (right - left) * (time_s - first_s) / (last_s - first_s)

        cv2.rectangle(sheet, (left, top), (right, bottom), _BLANK, 1)
        sheet[top + 1 : bottom, round(across(event.onset_s)) : round(across(event.offset_s)) + 1] = mix(
            _PAPER, colour, 0.25
        )
        for start, stop in _runs(moments.shares):
            points = [
                (across(t), bottom - p * _CHART_PX)
                for t, p in zip(moments.times_s[start:stop], moments.shares[start:stop], strict=True)
            ]
            polyline(sheet, np.array(points, np.float32), colour, 2)
        self._text.draw(sheet, f"probability of {event.label} in the second before", left + 8, top + 20, _SMALL_PX, DIM)
        taken = -1.0
        for name, time_s in _ticks(event):
            x = round(across(time_s))
            cv2.line(sheet, (x, top), (x, bottom + 4), TEXT if name == "apex" else DIM, 1)
            words = f"{name} {1000 * (time_s - event.onset_s):+.0f} ms" if name != "onset" else name
            begin = max(taken, x - self._text.width(words, _SMALL_PX) / 2)
            self._text.draw(sheet, words, round(begin), bottom + 19, _SMALL_PX, DIM)
            taken = begin + self._text.width(words, _SMALL_PX) + 12


def arrow_enlargement(flow: NDArray[np.float32]) -> int:
    """How many times as long as a crop's motion (size, size, 2), in crop pixels, its arrows are to be; 0 where there is too
    little for any."""
    motion = flow[_arrow_places(flow)]
    longest = float(np.hypot(motion[..., 0], motion[..., 1]).max())
    return 0 if longest < _ARROW_LEAST_PX else max(1, int(_ARROW_LONGEST_PX / longest))


def draw_arrows(panel: Image, flow: NDArray[np.float32], colour: Colour, times: int) -> None:
    """Draws a crop's motion (size, size, 2), in crop pixels, over its enlarged picture (side, side, 3), `times` as long."""
    scale = panel.shape[0] / flow.shape[0]
    ys, xs = _arrow_places(flow)
    motion = flow[ys, xs]
    lengths = np.hypot(motion[..., 0], motion[..., 1])
    longest = float(lengths.max())
    for x, y, (u, v), length in zip(xs.ravel(), ys.ravel(), motion.reshape(-1, 2), lengths.ravel(), strict=True):
        if length >= _ARROW_LEAST_PX:
            tail = (round(scale * x), round(scale * y))
            tip = (round(scale * (x + times * u)), round(scale * (y + times * v)))
            shade = mix(colour, _PAPER, 0.5 * (1 - length / longest))
            cv2.arrowedLine(panel, tail, tip, shade, 1, cv2.LINE_AA, tipLength=0.3)


def _arrow_places(flow: NDArray[np.float32]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Rows and columns of the pixels that get an arrow."""
    size_px = flow.shape[0]
    step = max(2, round(_ARROW_STEP_PX * size_px / 128))
    ys, xs = np.mgrid[step // 2 : size_px : step, step // 2 : size_px : step]
    return ys, xs


def _mixed(picture: Image, colour: Colour, share: float) -> Image:
    """The picture with `share` (0 to 1) of a colour in it."""
    return cv2.addWeighted(picture, 1 - share, np.full_like(picture, colour), share, 0.0)


def _ticks(event: Event) -> tuple[tuple[str, float], ...]:
    return ("onset", event.onset_s), ("apex", event.apex_s), ("offset", event.offset_s)


def _runs(values: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Stretches of two or more numbers without NaN, as (start, stop)."""
    known = np.concatenate(([0], np.isfinite(values).astype(int), [0]))
    edges = np.flatnonzero(np.diff(known))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a > 1]

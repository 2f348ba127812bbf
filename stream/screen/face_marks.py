"""What is drawn at the faces: outlines, and words beside them."""

from collections.abc import Mapping, Sequence

import numpy as np

from model.types import FaceResult, FrameResult
from stream.history import Recent
from stream.screen.layout import Rect, small_font
from stream.screen.paint import (
    CALM,
    DIM,
    TEXT,
    WARNING,
    Colour,
    Image,
    TextPainter,
    baseline,
    darken,
    fill,
    polyline,
    polyline_share,
    track_colour,
)
from stream.screen.statement import NOT_WATCHABLE, STATUS_WORDS, Waits, event_name, event_sure, percent

_TAG_OPACITY = 0.8
_NUMBER_INK: Colour = (30, 28, 27)


def draw_faces(
    image: Image,
    result: FrameResult,
    recent: Recent,
    waits: Waits,
    colours: Mapping[str, Colour],
    text: TextPainter,
    font_px: int,
    taken: Sequence[Rect],
) -> None:
    """Outlines of all faces and their tags, which keep out of the rectangles that are `taken` and of one another.

    One face has a tag for its events only: the panel tells the rest. Several have their numbers too.
    """
    several = len(result.faces) > 1
    for face in result.faces:
        if len(face.face.outline) >= 3:
            _draw_outline(image, face, recent, waits, colours, several, max(1, round(font_px / 9)))
    blocked = list(taken)
    for face in result.faces:
        words = _words(face, recent, waits, colours, several)
        number = str(face.track) if several else ""
        if len(face.face.outline) >= 3 and (words or number):
            placed = _draw_tag(image, face_box(face), number, track_colour(face.track), words, text, font_px, blocked)
            blocked += [placed] if placed is not None else []


def face_box(face: FaceResult) -> Rect:
    left, top = np.floor(face.face.outline.min(axis=0)).astype(int)
    right, bottom = np.ceil(face.face.outline.max(axis=0)).astype(int)
    return Rect(int(left), int(top), int(right - left) + 1, int(bottom - top) + 1)


def _draw_outline(
    image: Image,
    face: FaceResult,
    recent: Recent,
    waits: Waits,
    colours: Mapping[str, Colour],
    several: bool,
    line_px: int,
) -> None:
    points = face.face.outline
    own = track_colour(face.track) if several else CALM
    event = recent.events.fresh.get(face.track)
    if event is not None:
        polyline(image, points, colours[event.label], line_px + 1, closed=True)
        return
    if face.status not in ("ok", "filling"):
        polyline(image, points, WARNING, line_px, closed=True)
        return
    progress = waits.progress(face, recent)
    if progress is None:
        unwatched = waits.calibration_s is not None and not face.watchable
        polyline(image, points, DIM if unwatched and not several else own, line_px, closed=True)
        return
    polyline(image, points, DIM, line_px, closed=True)
    if progress > 0:
        polyline_share(image, points, progress, own if several else TEXT, 2 * line_px)


def _words(
    face: FaceResult, recent: Recent, waits: Waits, colours: Mapping[str, Colour], several: bool
) -> tuple[tuple[str, Colour], ...]:
    """Texts in a row, with their colours."""
    event = recent.events.fresh.get(face.track)
    if event is not None:
        return (event_name(event), colours[event.label]), (event_sure(event), TEXT)
    if not several:
        return ()
    if face.status not in ("ok", "filling"):
        return ((STATUS_WORDS[face.status][0], WARNING),)
    if waits.calibrating(face, recent) is not None:
        return (("calibrating", DIM),)
    if face.prediction is None:
        return ((STATUS_WORDS["filling"][0], DIM),)
    if waits.calibration_s is not None and not face.watchable:
        return ((NOT_WATCHABLE, DIM),)
    return (f"window: {face.prediction.label}", DIM), (percent(face.prediction.confidence), DIM)


def _draw_tag(
    image: Image,
    face: Rect,
    number: str,
    own: Colour,
    words: Sequence[tuple[str, Colour]],
    text: TextPainter,
    font_px: int,
    blocked: Sequence[Rect],
) -> Rect | None:
    """Where it was drawn; without the words, or not at all, where there is no room."""
    size_px = small_font(font_px)
    height, pad = round(1.5 * size_px), round(0.45 * size_px)
    number_px = text.width(number, size_px) + 2 * pad if number else 0
    words_px = text.row_width([word for word, _ in words], size_px) + 2 * pad if words else 0
    for shown_px in (words_px, 0):
        width = number_px + shown_px
        place = _free_place(face, width, height, image.shape[1], image.shape[0], blocked) if width else None
        if place is None:
            continue
        line = baseline(place.y, height, size_px)
        if number:
            fill(image, place.x, place.y, number_px, height, own)
            text.draw(image, number, place.x + pad, line, size_px, _NUMBER_INK)
        if shown_px:
            darken(image, Rect(place.x + number_px, place.y, shown_px, height), _TAG_OPACITY)
            text.draw_row(image, words, place.x + number_px + pad, line, size_px)
        return place
    return None


def _free_place(
    face: Rect, width: int, height: int, image_width: int, image_height: int, blocked: Sequence[Rect]
) -> Rect | None:
    """Above the face, below it, beside it, within it: the first place inside the picture that is not taken."""
    gap = max(2, height // 4)
    x = face.x + (face.width - width) // 2
    places = [
        (x, face.y - gap - height),
        (x, face.bottom + gap),
        (face.right + gap, face.y + (face.height - height) // 2),
        (face.x - gap - width, face.y + (face.height - height) // 2),
        (x, face.y + gap),
    ]
    for left, top in places:
        if top < 0 or left + width <= 0 or left >= image_width:
            continue
        # At an edge of the picture a tag moves inwards along its face.
        place = Rect(min(max(left, 0), image_width - width), top, width, height)
        inside = place.x >= 0 and place.bottom <= image_height
        if inside and all(place.overlap(other) == 0 for other in blocked):
            return place
    return None

"""Reviewed sessions as a dataset: what coders accepted is of its class, what they rejected is neutral.

Only what somebody decided counts. A clip is a second in the camera's own time, as the live program sees it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from model.contract import NEUTRAL
from stream.labels.label_log import LabelledEvent
from train.datasets.reviewed import ReviewedSession, read_reviews
from train.datasets.source import DatasetError, Defect, Reading, SessionMoment, SourceClip

DATASET = "sessions"
WINDOW_S = 1.0
"""So long a stretch about a rejected candidate must hold nothing that was accepted."""
ASSUMED_FPS = 30.0


def read(roots: Sequence[Path], annotations: Sequence[Path] = (), coder: str | None = None) -> Reading:
    """The decided events of the sessions under `roots` (see `train.datasets.reviewed.read_reviews`).

    Raises:
        DatasetError: there is no session that can be used, or they were made by models of different classes.
    """
    reviewed, unusable = read_reviews(roots, annotations, coder)
    defects = list(unusable)
    classes = _classes(reviewed)
    clips = [clip for one in reviewed for clip in _clips(one, classes, defects)]
    clips.sort(key=lambda clip: (clip.subject, clip.clip))
    return Reading(DATASET, classes, tuple(clips), tuple(defects), tuple(annotations))


def _classes(reviewed: Sequence[ReviewedSession]) -> tuple[str, ...]:
    """Those of the model that the sessions were made with, in its order."""
    first = reviewed[0]
    names = _class_names(first)
    for one in reviewed:
        if _class_names(one) != names:
            raise DatasetError(
                f"{one.folder.path}: expected a model of the classes {', '.join(names)}, as {first.folder.path} was "
                f"made with, found {', '.join(_class_names(one)) or 'none'}; prepare them apart"
            )
    if len(names) < 2:
        raise DatasetError(f"{first.folder.facts}: expected the classes of the model, found {len(names)}")
    return names


def _class_names(one: ReviewedSession) -> tuple[str, ...]:
    return tuple(name for name in one.facts.get("model", {}).get("class_names", ()) if isinstance(name, str))


def _clips(one: ReviewedSession, classes: Sequence[str], defects: list[Defect]) -> Iterator[SourceClip]:
    path, decided = one.folder.path, one.decided
    for event, why in decided.disputed:
        defects.append(Defect("warning", path, f"the coders are not of one mind, left out: {why}", clip=event.event))
    accepted = [event for event in decided.events if event.verdict == "accepted"]
    lively = [event for event in (*accepted, *(event for event, _ in decided.disputed)) if event.label != NEUTRAL]
    long = near = 0
    for event in decided.events:
        label = event.label if event.verdict == "accepted" else NEUTRAL
        if label not in classes:
            reason = f"expected one of {', '.join(classes)}, found {label!r}"
            defects.append(Defect("error", path, reason, clip=event.event))
        elif label == NEUTRAL:
            if any(_meets(event, other) for other in lively):
                near += 1
            else:
                yield _clip(one, event, NEUTRAL)
        elif event.kind == "macro":
            long += 1
        else:
            yield _clip(one, event, label)
    for count, reason in (
        (
            near,
            f"rejected candidates left out that lie within {WINDOW_S / 2:g} s of an expression: they are not neutral",
        ),
        (long, "accepted macro-expressions left out: a window is for micro-expressions, of half a second at most"),
    ):
        if count:
            defects.append(Defect("warning", path, f"{count} {reason}"))


def _meets(event: LabelledEvent, other: LabelledEvent) -> bool:
    """Whether the window about the event's apex holds a part of the other one."""
    return other.onset_s < event.apex_s + WINDOW_S / 2 and event.apex_s - WINDOW_S / 2 < other.offset_s


def _clip(one: ReviewedSession, event: LabelledEvent, label: str) -> SourceClip:
    fps = float(one.facts.get("source", {}).get("fps", 0.0))
    times = (None, None) if label == NEUTRAL else (event.onset_s, event.offset_s)
    return SourceClip(
        DATASET,
        one.subject,
        f"{one.name}/{event.event}",
        event.label,
        label,
        fps if 0 < fps < 1e4 else ASSUMED_FPS,
        SessionMoment(one.folder.path, event.apex_s, *times),
        () if label == NEUTRAL else event.action_units,
    )

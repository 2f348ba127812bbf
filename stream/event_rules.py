"""Why a movement is no event: the artefacts that look like one."""

from collections.abc import Sequence

import numpy as np

from model.contract import NEUTRAL
from model.types import Rejection
from stream.event_candidate import Candidate
from stream.event_settings import EventSettings


def artefact_of(candidate: Candidate, settings: EventSettings) -> Rejection | None:
    """What a movement is instead of an expression of the face; None when nothing speaks against it."""
    if candidate.eyes_px > settings.blink_ratio * candidate.skin_px:
        return "blink"
    if candidate.head_px_s > settings.max_head_px_s:
        return "head_motion"
    if candidate.exposure > settings.max_exposure:
        return "exposure"
    if candidate.sharpness_share < settings.min_sharpness_share:
        return "blur"
    return "speech" if candidate.contrast < settings.min_contrast else None


def reject_micro(candidate: Candidate, names: Sequence[str], settings: EventSettings) -> Rejection | None:
    """The reason why a short movement is no micro-expression; None when it is one."""
    artefact = artefact_of(candidate, settings)
    if artefact is not None:
        return artefact
    if not shows_expression(candidate, names, settings):
        return "no_expression"
    return "too_short" if candidate.duration_s < settings.min_s else None


def shows_expression(candidate: Candidate, names: Sequence[str], settings: EventSettings) -> bool:
    """Whether the model sees an expression at all; a model without a neutral class always does when it answers."""
    if candidate.answer is None:
        return False
    if NEUTRAL not in names:
        return True
    return 1.0 - float(candidate.answer[list(names).index(NEUTRAL)]) >= settings.min_expression


def label_of(candidate: Candidate, names: Sequence[str]) -> tuple[str, float]:
    """The likeliest class that is not neutral, and its probability (0 without an answer)."""
    expressive = [index for index, name in enumerate(names) if name != NEUTRAL]
    if candidate.answer is None:
        return names[expressive[0]], 0.0
    best = expressive[int(np.argmax(candidate.answer[expressive]))]
    return names[best], float(candidate.answer[best])

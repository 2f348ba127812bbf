"""The decision which movements are micro-expressions, learned anew for each subject from the others' candidates; how well it does
on somebody is measured on people who have not taught it.

For a left-out subject everything comes from the others: the decision, and the least probability that counts, which is the best
one for them when each of them is judged by a decision that has not seen them either.
"""

import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.types import Event
from train.challenge.least_probability import chosen_by_others
from train.challenge.rules import Rules
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.challenge.spot_folder import learned_anew, scored_video
from train.errors import TrainError
from train.progress import Advance
from train.spotting.decision_fit import JudgedVideo, fit_decision, likeliest, out_of_fold, probabilities
from train.synth.long_video_script import TruthEvent
from train.worker_pool import WorkerPool

FOLDS = 4
"""Over the people who are left, for what is chosen among them."""
_OTHERWISE = 0.5
WORDS = "; the decision is learned anew for each subject from all others"


def refitted(
    lines: Sequence[Mapping[str, Any]], rules: Rules, jobs: int, advance: Advance
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The lines of `videos.jsonl` with what was found by decisions that had not seen their subjects, and the least probability
    that counts by subject. `jobs` subjects at a time; `advance` is told of each that is done.

    Raises:
        TrainError: there are too few candidates to learn from.
    """
    found: dict[int, tuple[FrameEvent, ...]] = {}
    least: dict[str, float] = {}
    subjects = list(dict.fromkeys(str(line["subject"]) for line in lines))
    with WorkerPool(min(jobs, len(subjects)), partial(RefitVideos, lines, rules)) as pool:
        try:
            for subject, (own, chosen) in pool.as_done(RefitVideos.without, subjects):
                found |= own
                least[subject] = chosen
                advance(1)
        except BaseException:
            for process in multiprocessing.active_children():  # nothing else interrupts what learns
                process.kill()
            raise
    return [learned_anew(line, found[place]) for place, line in enumerate(lines)], least


class RefitVideos:
    """All watched videos, from their lines in `videos.jsonl`."""

    def __init__(self, lines: Sequence[Mapping[str, Any]], rules: Rules) -> None:
        self._videos = [scored_video(line) for line in lines]
        self._judged = [_judged(video, line["candidates"]) for video, line in zip(self._videos, lines, strict=True)]
        self._events = [
            [FrameEvent(**{name: told[name] for name in _FIELDS}) for told in line["candidates"]] for line in lines
        ]
        self._rules: Rules = rules

    def without(self, subject: str) -> tuple[dict[int, tuple[FrameEvent, ...]], float]:
        """What is found in a subject's videos, by their place, by what was learned without them; and the least probability that
        counts. Raises TrainError when the others have too few candidates to learn from."""
        own = [place for place, video in enumerate(self._videos) if video.subject == subject]
        others = [place for place in range(len(self._videos)) if place not in own]
        taught = [self._judged[place] for place in others]
        try:
            decision = fit_decision(taught, f"all but {subject}")
            chances = out_of_fold(taught, min(FOLDS, len({video.person for video in taught})))
        except TrainError as error:
            raise TrainError(f"--refit, without {subject}: {error}") from error
        known = [
            replace(self._videos[place], found=self._found(place, chance))
            for place, chance in zip(others, chances, strict=True)
        ]
        empty = [replace(self._videos[place], truth=(), found=()) for place in own]
        least = chosen_by_others([*known, *empty], _OTHERWISE, self._rules)[subject]
        return {place: self._found(place, probabilities(decision, self._judged[place])) for place in own}, least

    def _found(self, place: int, chance: NDArray[np.float64]) -> tuple[FrameEvent, ...]:
        """Macro-expressions as they were, micro-expressions with these probabilities, of those close together the likeliest."""
        events = [event for event in self._videos[place].found if event.kind == "macro"]
        events += [
            replace(self._events[place][number], probability=float(chance[number]))
            for number in likeliest(self._judged[place], chance)
        ]
        return tuple(sorted(events, key=lambda event: (event.onset, event.offset, event.kind)))


_FIELDS = ("kind", "onset", "offset", "apex", "label", "probability")


def _judged(video: ScoredVideo, candidates: Sequence[Mapping[str, Any]]) -> JudgedVideo:
    """True events and candidates in seconds from the first frame on."""

    def seconds(frame: int) -> float:
        return (frame - video.first) / video.fps

    truth = [
        TruthEvent(
            "micro",
            event.label or "",
            seconds(event.onset),
            seconds(event.apex if event.apex is not None else (event.onset + event.offset) // 2),
            seconds(max(event.offset, event.onset + 1)),
            0.0,
        )
        for event in video.true_events("micro")
    ]
    events = [
        Event(
            0, "micro", told["label"], seconds(told["onset"]), seconds(told["apex"]), seconds(told["offset"]), 0.0, 0.0,
            probability=told["probability"], evidence=told["evidence"],
        )
        for told in candidates
    ]  # fmt: skip
    return JudgedVideo.of(video.video, video.subject, "recorded", video.seconds / 60, truth, events)

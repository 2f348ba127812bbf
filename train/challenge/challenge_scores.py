"""All scores of long videos as the grand challenges score them, as plain values for JSON, with chance beside them.

STRS (spot, then recognise; Liong, See, Chan: "Spot-then-recognize: a micro-expression analysis network for seamless evaluation
of long videos", Signal Processing: Image Communication 110, 2023; the measure of MEGC 2025) is the F1 of spotting times an F1 of
recognition over the hits alone. Here the second one is UF1: the F1 of each class over the hits, averaged over all classes that
the true micro-expressions have, 0 for a class without any hit. The script that its authors give out multiplies with another:
the harmonic mean of the classes' mean precision and mean recall. That is `strs_of_means`, for figures published so.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from train.challenge.rules import KINDS, RULES, Hit, Rules, best_on_itself, count_video, hits, probability
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.scores.metrics import confusion_matrix, scores
from train.spotting.curves import thresholds
from train.spotting.match import Counts, spread_of

CHANCE_DRAWS = 100
RESAMPLES = 1000
PARTS = ("micro", "macro", "overall")
UNNAMED = "no class"
"""The answer about a hit that has no class, or none that the true ones have."""
_INTERVAL = (2.5, 97.5)

Least = float | Mapping[str, float]
"""The least probability of a micro-expression that counts, for all or by subject."""


def score(
    videos: Sequence[ScoredVideo],
    min_probability: Least,
    rules: Rules = "pooled",
    seed: int = 0,
    draws: int = CHANCE_DRAWS,
    classes: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Scores of some videos under one of the rules.

    `min_probability` is overruled where the rules choose it on the test subjects. `seed` draws chance (`draws` times) and the
    subjects of the intervals. `classes`: those of the recognition, in their order; all that true micro-expressions have unless
    given.

    Raises:
        ValueError: there is no video, two have the same subject and name, or a subject has no least probability.
    """
    _check(videos, min_probability)
    least = least_by_subject(videos, min_probability, rules)
    counted = _counted(videos, least, rules)
    pooled = {part: _total(counted[part]) for part in PARTS}
    by_subject = _subjects(videos)
    resampled = _resampled(counted, by_subject, seed)
    guessed = _chance(videos, least, rules, seed, draws)
    found_hits = {kind: [(v, hit) for v in videos for hit in hits(v, kind, least[v.subject], rules)] for kind in KINDS}
    named = recognition([hit for _, hit in found_hits["micro"]], _class_names(videos, classes))
    f1 = pooled["micro"].f1
    return {
        "rules": rules,
        "rules_in_words": RULES[rules].words,
        "min_probability": least if RULES[rules].on_test or isinstance(min_probability, Mapping) else min_probability,
        "subjects_n": len(by_subject),
        "videos_n": len(videos),
        **_minutes(videos),
        **{
            part: {
                "n": sum(
                    len(video.true_events(kind)) for video in videos for kind in KINDS if part in (kind, "overall")
                ),
                **pooled[part].as_dict(),
                "interval": resampled[part],
                "chance": guessed[part],
            }
            for part in PARTS
        },
        "recognition": named,
        "strs": f1 * named["uf1"] if named else None,
        "strs_of_means": f1 * named["f1_of_means"] if named else None,
        "timing": {kind: _timing(found_hits[kind]) for kind in KINDS},
        "false": {part: _false(pooled[part].fp, videos) for part in PARTS},
        "by_subject": {
            subject: {
                "videos": len(own),
                **_minutes([videos[number] for number in own]),
                "min_probability": least[subject],
                **{part: _total([counted[part][number] for number in own]).as_dict() for part in PARTS},
                "false": _false(sum(counted["micro"][number].fp for number in own), [videos[n] for n in own]),
            }
            for subject, own in by_subject.items()
        },
        "by_video": [
            {
                "subject": video.subject,
                "video": video.video,
                "seconds": video.seconds,
                **{part: counted[part][number].as_dict() for part in PARTS},
            }
            for number, video in enumerate(videos)
        ],
        "curve": curve(videos, rules),
        "under_rules": {name: _under(videos, min_probability, name) for name in RULES},
    }


def _check(videos: Sequence[ScoredVideo], min_probability: Least) -> None:
    if not videos:
        raise ValueError("videos: expected one or more, found none")
    (name, times), *_ = Counter((video.subject, video.video) for video in videos).most_common(1)
    if times > 1:
        raise ValueError(f"videos: expected each once, found {'/'.join(name)} {times} times")
    if isinstance(min_probability, Mapping):
        lacking = sorted({video.subject for video in videos} - set(min_probability))
        if lacking:
            raise ValueError(f"min_probability: expected one for every subject, found none for {', '.join(lacking)}")


def least_by_subject(
    videos: Sequence[ScoredVideo], min_probability: Least, rules: Rules = "pooled"
) -> dict[str, float]:
    """The least probability that counts by subject: as given, or as the rules choose it on each subject's own videos."""
    if RULES[rules].on_test:
        return {
            subject: best_on_itself([videos[number] for number in own], rules)
            for subject, own in _subjects(videos).items()
        }
    if isinstance(min_probability, Mapping):
        return {video.subject: float(min_probability[video.subject]) for video in videos}
    return {video.subject: float(min_probability) for video in videos}


def _subjects(videos: Sequence[ScoredVideo]) -> dict[str, list[int]]:
    """Places of each subject's videos."""
    places: dict[str, list[int]] = {}
    for number, video in enumerate(videos):
        places.setdefault(video.subject, []).append(number)
    return places


def _counted(videos: Sequence[ScoredVideo], least: Mapping[str, float], rules: Rules) -> dict[str, list[Counts]]:
    """Of every video, by part."""
    by_kind = {kind: [count_video(video, kind, least[video.subject], rules) for video in videos] for kind in KINDS}
    both = [micro + macro for micro, macro in zip(by_kind["micro"], by_kind["macro"], strict=True)]
    return {**by_kind, "overall": both}


def _total(counts: Sequence[Counts]) -> Counts:
    return sum(counts, Counts(0, 0, 0))


def _under(videos: Sequence[ScoredVideo], min_probability: Least, rules: Rules) -> dict[str, Any]:
    counted = _counted(videos, least_by_subject(videos, min_probability, rules), rules)
    words = {key: getattr(RULES[rules], key) for key in ("words", "hides", "used_by")}
    return {**words, **{part: _total(counted[part]).as_dict() for part in PARTS}}


def _minutes(videos: Sequence[ScoredVideo]) -> dict[str, float | None]:
    watchable = [video.watchable_s for video in videos if video.watchable_s is not None]
    return {
        "minutes": sum(video.seconds for video in videos) / 60,
        "watchable_minutes": sum(watchable) / 60 if len(watchable) == len(videos) else None,
    }


def _false(events: int, videos: Sequence[ScoredVideo]) -> dict[str, float | int | None]:
    """False events: how many, a minute of video, and a watchable minute (None where that is not known or there is none)."""
    minutes = _minutes(videos)
    watchable = minutes["watchable_minutes"]
    return {
        "events": events,
        "per_min": events / minutes["minutes"] if minutes["minutes"] else None,
        "per_watchable_min": events / watchable if watchable else None,
    }


def _timing(pairs: Sequence[tuple[ScoredVideo, Hit]]) -> dict[str, Any]:
    """How far onset, apex and offset of hits are off, in ms and in frames of their videos; None without any."""
    timing: dict[str, Any] = {"n": len(pairs)}
    for name in ("onset", "apex", "offset"):
        off = [
            (getattr(found, name) - getattr(true, name), video.fps)
            for video, (true, found) in pairs
            if getattr(true, name) is not None and getattr(found, name) is not None
        ]
        told = spread_of([1000 * frames / fps for frames, fps in off], "ms")
        timing[name] = told and {"n": len(off), **told, **(spread_of([frames for frames, _ in off], "frames") or {})}
    return timing


# Recognition over the hits


def _class_names(videos: Sequence[ScoredVideo], classes: Sequence[str] | None) -> tuple[str, ...]:
    """The recognition's classes; none where nothing that was found has a class."""
    if not any(event.label is not None for video in videos for event in video.found):
        return ()
    there = {event.label for video in videos for event in video.true_events("micro") if event.label is not None}
    return tuple(sorted(there)) if classes is None else tuple(classes)


def recognition(pairs: Sequence[Hit], class_names: Sequence[str]) -> dict[str, Any] | None:
    """Scores of the classes over hits whose true event has one of `class_names`; None where there are no classes.

    An answer that is none of them is wrong, and counted in a last column of the confusion matrix (rows truth).
    """
    if not class_names:
        return None
    judged = [(true.label, found.label) for true, found in pairs if true.label in class_names]
    names = [*class_names, UNNAMED]
    place = {name: number for number, name in enumerate(class_names)}
    truth = [place[str(true)] for true, _ in judged]
    answers = [place.get(str(answer), len(class_names)) for _, answer in judged]
    told = scores(confusion_matrix(truth, answers, len(names)), names)
    classes = [told.per_class[name] for name in class_names]
    precision, recall = (float(np.mean([getattr(one, key) for one in classes])) for key in ("precision", "recall"))
    return {
        "n": told.n,
        "classes": list(class_names),
        "uf1": float(np.mean([one.f1 for one in classes])),
        "uar": told.uar,
        "accuracy": told.accuracy,
        "f1_of_means": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "per_class": {name: vars(told.per_class[name]).copy() for name in class_names},
        "answers": names,
        "confusion": [list(row) for row in told.confusion[:-1]],
    }


# Chance, intervals and the curve


def _chance(
    videos: Sequence[ScoredVideo], least: Mapping[str, float], rules: Rules, seed: int, draws: int
) -> dict[str, dict[str, float]]:
    """F1 of as many intervals, each as long as one that counts, at random places of the same videos: mean and 95 % of draws.

    Under rules that choose the sensitivity on the test subjects they choose it anew in every draw, from all candidates.
    """
    on_test = RULES[rules].on_test
    counting = [
        replace(video, found=video.found if on_test else _all_found(video, least[video.subject])) for video in videos
    ]
    rng = np.random.default_rng(seed)
    f1: dict[str, list[float]] = {part: [] for part in PARTS}
    for _ in range(draws):
        drawn = elsewhere(counting, rng)
        for part, counts in _counted(drawn, least_by_subject(drawn, least, rules), rules).items():
            f1[part].append(_total(counts).f1)
    return {part: {"f1": float(np.mean(values)), **_interval(values), "draws": draws} for part, values in f1.items()}


def _all_found(video: ScoredVideo, least: float) -> tuple[FrameEvent, ...]:
    return tuple(event for kind in KINDS for event in video.found_events(kind, least))


def elsewhere(videos: Sequence[ScoredVideo], rng: np.random.Generator) -> list[ScoredVideo]:
    """What was found, each event as long as it is, anywhere in its video; what is longer than the video fills it."""
    places = [
        (video.first, max(video.first, video.last - event.frames + 1), video.last)
        for video in videos
        for event in video.found
    ]
    first, latest, last = np.array(places, np.int64).reshape(-1, 3).T
    drawn = zip(rng.integers(first, latest + 1).tolist(), last.tolist(), strict=True)
    return [replace(video, found=tuple(_moved(event, *next(drawn)) for event in video.found)) for video in videos]


def _moved(event: FrameEvent, onset: int, last: int) -> FrameEvent:
    return FrameEvent(event.kind, onset, min(onset + event.frames - 1, last), probability=event.probability)


def _interval(values: Sequence[float]) -> dict[str, float]:
    low, high = np.percentile(values, _INTERVAL)
    return {"low": float(low), "high": float(high)}


def _resampled(
    counted: Mapping[str, Sequence[Counts]], by_subject: Mapping[str, Sequence[int]], seed: int
) -> dict[str, dict[str, float] | None]:
    """The 95 % bootstrap interval of F1 over subjects; None with one subject, of whom nothing says how another is."""
    if len(by_subject) < 2:
        return dict.fromkeys(counted)
    times = np.random.default_rng(seed).multinomial(len(by_subject), [1 / len(by_subject)] * len(by_subject), RESAMPLES)
    intervals: dict[str, dict[str, float] | None] = {}
    for part, counts in counted.items():
        own = [_total([counts[number] for number in places]) for places in by_subject.values()]
        tp, fp, fn = (times @ np.array([(one.tp, one.fp, one.fn) for one in own])).T
        intervals[part] = _interval(np.divide(2 * tp, 2 * tp + fp + fn, out=np.zeros(RESAMPLES), where=tp > 0).tolist())
    return intervals


def curve(videos: Sequence[ScoredVideo], rules: Rules = "pooled") -> list[dict[str, float | None]]:
    """Micro scores over growing least probabilities, from all candidates to the likeliest; the same one for all subjects."""
    told = np.array([probability(event) for video in videos for event in video.found_events("micro")], np.float64)
    points: list[dict[str, float | None]] = []
    for least in thresholds(told):
        counts = _total([count_video(video, "micro", least, rules) for video in videos])
        false = _false(counts.fp, videos)
        scored = {key: counts.as_dict()[key] for key in ("f1", "precision", "recall")}
        points.append(
            {"min_probability": least, **scored, **{key: false[key] for key in ("per_min", "per_watchable_min")}}
        )
    return points

"""The run over long videos that a report is about: what was found in each video, and its scores, written or of what there is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.types import EventKind
from train.challenge.challenge_scores import PARTS, score
from train.challenge.least_probability import chosen_by_others, in_words
from train.challenge.rules import KINDS, RULES, Hit, hits
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.challenge.spot_folder import KIND, SpotDir, scored_video
from train.errors import UsageError
from train.files import read_object, whole_lines

_COUNTS = ("tp", "fp", "fn", "precision", "recall", "f1")


@dataclass(frozen=True)
class SpotRun:
    """A run, finished or not.

    `pictures` says where each video's frames are, by its place in `videos`; None where nowhere. `scores` are those that the run
    wrote, or of the videos that are done.
    """

    settings: Mapping[str, Any]
    videos: tuple[ScoredVideo, ...]
    pictures: tuple[Mapping[str, Any] | None, ...]
    scores: Mapping[str, Any]
    finished: bool
    name: str

    def least(self, video: ScoredVideo) -> float:
        """The least probability of a micro-expression that counts in a video."""
        return self.scores["by_subject"][video.subject]["min_probability"]


@dataclass(frozen=True)
class VideoEvents:
    """What counts in a video: pairs of a true and a found event, true ones that nothing hit, found ones that hit nothing."""

    video: ScoredVideo
    hits: tuple[Hit, ...]
    missed: tuple[FrameEvent, ...]
    false: tuple[FrameEvent, ...]


def is_spot_run(path: Path) -> bool:
    """Whether a folder looks like a run over long videos, finished or not."""
    return SpotDir(path).settings.is_file()


def open_spot_run(path: Path) -> SpotRun:
    """Raises UsageError: it is another run, it is damaged, or none of its videos is done."""
    run = SpotDir(path)
    settings = read_object(run.settings, "a run's settings")
    again = f"make it again with: {settings.get('command', f'python -m train {KIND}')}"
    if settings.get("kind") != KIND or settings.get("rules") not in RULES or "dataset" not in settings:
        raise UsageError(
            f"{run.settings}: expected the settings of `python -m train {KIND}`, found something else; {again}"
        )
    lines = {(line.get("subject"), line.get("video")): line for line in whole_lines(run.videos)}
    if not lines:
        raise UsageError(f"{path}: expected a video that is done, found none yet; go on with: {settings['command']}")
    videos = tuple(scored_video(line) for line in lines.values())
    finished = run.scores.is_file()
    scores = read_object(run.scores, "the run's scores") if finished else _so_far(settings, videos)
    wrong = _misfit(scores, videos)
    if wrong:
        raise UsageError(f"{run.scores}: expected the scores of this run, found {wrong}; {again}")
    pictures = tuple(line.get("pictures") for line in lines.values())
    return SpotRun(settings, videos, pictures, scores, finished, path.resolve().name)


def events_of(run: SpotRun, video: ScoredVideo) -> VideoEvents:
    """By the rules of the run, each list by time; of what it leaves out nothing is false."""
    rules = run.scores["rules"]
    pairs = [pair for kind in KINDS for pair in hits(video, kind, run.least(video), rules)]
    hit = {id(event) for pair in pairs for event in pair}
    looked_at: list[EventKind] = [kind for kind in KINDS if video.true_events(kind) or RULES[rules].empty_videos]
    found = [event for kind in looked_at for event in video.found_events(kind, run.least(video))]

    def rest(events: Iterable[FrameEvent]) -> tuple[FrameEvent, ...]:
        return tuple(sorted((event for event in events if id(event) not in hit), key=lambda event: event.onset))

    return VideoEvents(video, tuple(pairs), rest(video.truth), rest(found))


def _so_far(settings: Mapping[str, Any], videos: tuple[ScoredVideo, ...]) -> dict[str, Any]:
    """Scores of an unfinished run's videos, the sensitivity chosen among them as the run would among all."""
    choose, fixed = settings.get("choose", "fixed"), settings.get("min_probability")
    least = chosen_by_others(videos, 0.0, settings["rules"]) if choose == "loso" else float(fixed or 0.0)
    return {
        "sensitivity": {"choose": choose, "in_words": in_words(choose, fixed or 0.0, given=False)},
        **score(videos, least, settings["rules"]),
    }


def _misfit(scores: Mapping[str, Any], videos: tuple[ScoredVideo, ...]) -> str:
    """What is wrong with scores; empty where nothing is."""
    try:
        if scores["videos_n"] != len(videos):
            return f"those of {scores['videos_n']} videos, not of {len(videos)}"
        strange = {video.subject for video in videos} ^ set(scores["by_subject"])
        if strange:
            return f"other subjects ({', '.join(sorted(map(str, strange))[:3])})"
        counts = [scores[part] for part in PARTS]
        counts += [
            one[part] for one in (*scores["by_subject"].values(), *scores["under_rules"].values()) for part in PARTS
        ]
        numbers = [one[key] for one in counts for key in _COUNTS]
        numbers += [scores[part]["chance"][key] for part in PARTS for key in ("f1", "low", "high")]
        numbers += [one[key] for one in scores["by_subject"].values() for key in ("min_probability", "minutes")]
        numbers += [point[key] for point in scores["curve"] for key in ("min_probability", "f1", "precision", "recall")]
        numbers += [scores["minutes"], scores["subjects_n"]]
        if not all(isinstance(number, int | float) for number in numbers):
            return "something that is no number"
        told = [scores["rules"], scores["rules_in_words"], scores["sensitivity"]["in_words"]]
        told += [one[key] for one in scores["under_rules"].values() for key in ("words", "hides", "used_by")]
        if scores["rules"] not in RULES or not all(isinstance(text, str) for text in told):
            return "other words than those of the rules"
        numbers = [one[kind][key] for one in scores["by_video"] for kind in KINDS for key in ("tp", "fp", "fn")]
        parts = [scores["false"][part][key] for part in PARTS for key in ("per_min", "per_watchable_min")]
        timing = [scores["timing"][kind][name] for kind in KINDS for name in ("onset", "apex", "offset")]
        named = [scores[key] for key in ("recognition", "strs", "strs_of_means", "watchable_minutes")]
        if len(numbers) != 6 * len(videos) or not all(
            one is None or isinstance(one, dict) for one in (*timing, named[0])
        ):
            return f"something else of its {len(videos)} videos"
        if not all(one is None or isinstance(one, int | float) for one in (*parts, *named[1:])):
            return "something that is no number"
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        return f"something else ({error!r})"
    return ""

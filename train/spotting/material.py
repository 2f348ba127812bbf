"""What a decision is learned from: made videos and clips with the generator's motion in them, watched by the live program, and
kept line by line in a file, so that work which was broken off goes on where it was.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.atomic import regular_file
from model.types import Event
from stream.events.evidence import REASONS
from train.errors import TrainError, UsageError
from train.files import write_text
from train.spotting.decision_fit import JudgedVideo
from train.spotting.watch import Watched
from train.synth.long_video_script import TruthEvent

_TIMES = ("onset_s", "apex_s", "offset_s")


@dataclass(frozen=True, eq=False)
class Task:
    """A video to be watched: `watch` does it. `key` says all that it depends on."""

    key: str
    person: str
    group: str
    seconds: float
    watch: Callable[[], Watched]


def watched(
    tasks: Iterable[Task], path: Path, settings: Mapping[str, Any], done: Callable[[float], None]
) -> tuple[list[JudgedVideo], list[str]]:
    """The tasks' videos, those that are in the file from an earlier call with the same settings, the others watched now; and
    why some could not be used.

    `done` is told the seconds of each. Raises UsageError for a file of other settings, TrainError for a damaged one.
    """
    head = json.dumps({"settings": dict(settings), "evidence": list(REASONS)}, sort_keys=True)
    known = _read(path, head)
    videos: list[JudgedVideo] = []
    left_out: list[str] = []
    with path.open("a", encoding="utf-8") as file:
        if not known and not path.stat().st_size:
            print(head, file=file, flush=True)
        for task in tasks:
            line = known.get(task.key)
            if line is None:
                try:
                    line = _line(task, task.watch())
                except TrainError as error:
                    line = {"key": task.key, "left_out": str(error)}
                print(json.dumps(line), file=file, flush=True)
            if "left_out" in line:
                left_out.append(line["left_out"])
            else:
                videos.append(_video(line))
            done(task.seconds)
    return videos, left_out


def _read(path: Path, head: str) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        lines = regular_file(path).read_text(encoding="utf-8").splitlines(keepends=True)
        if lines and lines[0].rstrip("\n") != head:
            raise UsageError(f"{path}: holds what was watched with other settings; choose another file, or remove it")
        # A line without an end was broken off.
        whole = [line for line in lines[1:] if line.endswith("\n")]
        if len(whole) < len(lines[1:]):
            write_text(path, "".join([*lines[:1], *whole]))
        return {line["key"]: line for line in map(json.loads, whole)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{path}: expected what this command writes ({error}); remove it") from error


def _line(task: Task, seen: Watched) -> dict[str, Any]:
    return {
        "key": task.key,
        "name": seen.name,
        "person": task.person,
        "group": task.group,
        "seconds": seen.run.seconds,
        "read_s": seen.run.read_s,
        "truth": [asdict(event) for event in seen.truth],
        "events": [event.to_dict() for event in seen.run.events if event.kind == "micro"],
    }


def _video(line: Mapping[str, Any]) -> JudgedVideo:
    events = [candidate(told) for told in line["events"]]
    truth = [TruthEvent(**told) for told in line["truth"]]
    minutes = line["read_s"] / 60
    return JudgedVideo.of(line["name"], line["person"], line["group"], minutes, truth, events)


def candidate(told: Mapping[str, Any]) -> Event:
    """A movement of a micro-expression's length, from what its `to_dict` gave."""
    return Event(
        track=told["track"],
        kind="micro",
        label=told["label"],
        **{name: told[name] for name in _TIMES},
        confidence=told["confidence"],
        peak_px=told["peak_px"],
        rejected=told.get("rejected"),
        probability=told.get("probability"),
        evidence=told.get("evidence", {}),
    )

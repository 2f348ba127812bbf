"""What a decision is learned from is kept, and goes on where it was broken off."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from model.types import Event
from stream.events.evidence import REASONS
from train.errors import TrainError, UsageError
from train.spotting.material import Task, watched
from train.spotting.watch import Watched
from train.synth.long_video_script import TruthEvent

SETTINGS = {"model": "abc", "seed": 1}


def seen(name: str) -> Watched:
    evidence = dict.fromkeys(REASONS, 0.25)
    events = (
        Event(1, "micro", "surprise", 5.0, 5.1, 5.3, 0.5, 1.0, "speech", probability=0.4, evidence=evidence),
        Event(1, "macro", "surprise", 7.0, 7.5, 8.0, 0.5, 1.0),
    )
    run = SimpleNamespace(events=events, seconds=30.0, read_s=24.0)
    truth = (TruthEvent("micro", "surprise", 5.0, 5.1, 5.3, 1.5),)
    return cast("Watched", SimpleNamespace(name=name, truth=truth, run=run))


class Watching:
    """Tasks that remember which of them were done; `fails`: names of those that cannot be used."""

    def __init__(self, names: str, fails: str = "") -> None:
        self.names, self.fails, self.done = names, fails, ""
        self.seconds = 0.0

    def tasks(self) -> list[Task]:
        return [
            Task(f"clip-{name}", f"person {name}", "clips", 30.0, lambda name=name: self.watch(name))
            for name in self.names
        ]

    def watch(self, name: str) -> Watched:
        self.done += name
        if name in self.fails:
            raise TrainError(f"{name}: no face")
        return seen(name)

    def told(self, seconds: float) -> None:
        self.seconds += seconds

    def run(self, path: Path, settings: dict[str, Any] | None = None):
        return watched(self.tasks(), path, settings or SETTINGS, self.told)


def test_what_was_watched_is_what_is_learned_from(tmp_path):
    watching = Watching("ab")
    videos, left_out = watching.run(tmp_path / "kept.jsonl")
    assert (left_out, watching.done, watching.seconds) == ([], "ab", 60.0)
    assert [(v.name, v.person, v.group, v.minutes) for v in videos] == [
        ("a", "person a", "clips", 0.4), ("b", "person b", "clips", 0.4)
    ]  # fmt: skip
    (event,) = videos[0].candidates
    assert (event.onset_s, event.rejected, event.probability) == (5.0, "speech", 0.4)
    assert event.evidence == dict.fromkeys(REASONS, 0.25) and videos[0].hits.tolist() == [True]


def test_it_goes_on_where_it_was_broken_off(tmp_path):
    path = tmp_path / "kept.jsonl"
    first, _ = Watching("ab").run(path)
    text = path.read_text()
    path.write_text(text[:-40])
    again = Watching("abc", fails="c")
    videos, left_out = again.run(path)
    # The second line was cut: it is watched again. What was whole is not.
    assert again.done == "bc" and left_out == ["c: no face"] and again.seconds == 90.0
    assert [(v.name, v.candidates, v.truth) for v in videos] == [(v.name, v.candidates, v.truth) for v in first]
    assert [json.loads(line).get("key") for line in path.read_text().splitlines()] == [
        None,
        "clip-a",
        "clip-b",
        "clip-c",
    ]
    third = Watching("abc")
    assert third.run(path)[1] == ["c: no face"] and third.done == ""


def test_a_cut_first_line_is_begun_anew_or_told(tmp_path):
    path = tmp_path / "kept.jsonl"
    path.write_text("")
    assert len(Watching("a").run(path)[0]) == 1
    path.write_text(path.read_text()[:20])
    with pytest.raises(UsageError, match="watched with other settings"):
        Watching("a").run(path)


def test_what_was_watched_with_other_settings_is_refused(tmp_path):
    path = tmp_path / "kept.jsonl"
    Watching("a").run(path)
    other = Watching("a")
    with pytest.raises(UsageError, match="watched with other settings"):
        other.run(path, SETTINGS | {"seed": 2})
    assert other.done == ""


def test_a_damaged_file_is_told(tmp_path):
    path = tmp_path / "kept.jsonl"
    Watching("a").run(path)
    for damage in ("nonsense\n", "{}\n", "[1]\n"):
        damaged = tmp_path / "damaged.jsonl"
        damaged.write_text(path.read_text() + damage)
        with pytest.raises(TrainError, match="expected what this command writes"):
            Watching("a").run(damaged)

"""`python -m train spot-fit`: from what was watched to a decision that a contract can carry."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import train.commands.spot_fit as spot_fit
import train.spotting.decision_fit as decision_fit
from model.decision import SpottingDecision
from model.types import Event
from stream.events.evidence import REASONS
from stream.events.judgement import Judge
from tests.helpers.clips import write_video
from tests.helpers.faces import portrait
from train.__main__ import main
from train.spotting.clip_videos import RealClip
from train.synth.long_video_script import TruthEvent

SMALL = ["--drawn", "3", "--minutes", "8", "--video-minutes", "2", "--rest", "1", "--folds", "2"]

CLIPS = ("anna_1", "anna_2", "cleo_1", "dora_1", "eve_1")


class Watching:
    """In place of the live program: candidates of which the large ones are true."""

    count = 0

    def __init__(self, recognizer: object) -> None:
        pass

    def made(self, video: SimpleNamespace, sampling: object) -> SimpleNamespace:
        Watching.count += 1
        rng, truth, events = np.random.default_rng(Watching.count), [], []
        for number in range(40):
            apex_s = 4.0 + 2 * number
            evidence = dict(zip(REASONS, rng.normal(0, 1, len(REASONS)).tolist(), strict=True))
            events.append(
                Event(
                    1, "micro", "surprise", apex_s - 0.1, apex_s, apex_s + 0.2, 0.5, 1.0, "speech",
                    probability=0.3, evidence=evidence,
                )
            )  # fmt: skip
            if evidence["size"] > 0 and not video.resting:
                truth.append(TruthEvent("micro", "surprise", apex_s - 0.1, apex_s, apex_s + 0.2, 1.5))
        run = SimpleNamespace(events=tuple(events), seconds=90.0, read_s=80.0)
        return SimpleNamespace(name=f"video {Watching.count}", truth=tuple(truth), run=run)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn, nothing really watched, and only one size of a decision is tried."""
    monkeypatch.setattr(decision_fit, "_TRIED", {"n_estimators": [60], "max_depth": [2]})
    Watching.count = 0
    monkeypatch.setattr(spot_fit, "Watcher", Watching)
    monkeypatch.setattr(spot_fit, "open_recognizer", lambda model, face_at=None: None)
    monkeypatch.setattr(spot_fit, "make_long_video", lambda *_: SimpleNamespace(resting=False))
    monkeypatch.setattr(spot_fit, "make_rest_video", lambda *_: SimpleNamespace(resting=True))


def test_a_decision_is_learned_and_measured(quick, tmp_path, capsys):
    out, scores = tmp_path / "decision.json", tmp_path / "scores.json"
    assert main(["spot-fit", *SMALL, "--out", str(out), "--json", str(scores)]) == 0
    decision = SpottingDecision.from_json(json.loads(out.read_text()))
    # The live program takes it, and what was planted is in it.
    judge = Judge(decision, 1.0)
    usual = dict.fromkeys(decision.features, 0.0)
    assert judge.probability(usual | {"size": 2.0}) > 0.5 > judge.probability(usual | {"size": -2.0})
    rates = [point.false_per_min for point in decision.curve]
    assert len(rates) > 2 and rates == sorted(rates, reverse=True)
    assert "4 made long videos of 4 people" in decision.training_data and "spot-fit" in decision.training_data
    groups = json.loads(scores.read_text())["groups"]
    assert (groups["made"]["videos"], groups["made"]["recall_of_candidates"], groups["rest"]["true"]) == (4, 1.0, 0)
    assert groups["made"]["recall_at"]["4"] > 0.5
    watchable = json.loads(scores.read_text())["watchable"]
    assert sum(part["n"] for part in watchable.values()) == groups["made"]["true"]
    assert len((tmp_path / "decision.watched.jsonl").read_text().splitlines()) == 6


def test_what_was_watched_is_not_watched_again(quick, tmp_path, capsys):
    out = tmp_path / "decision.json"
    assert main(["spot-fit", *SMALL, "--out", str(out)]) == 0
    assert "Recall at false events a minute in which the face was read" in capsys.readouterr().out
    first, watched = out.read_text(), Watching.count
    assert main(["spot-fit", *SMALL, "--out", str(out)]) == 0
    assert (out.read_text(), Watching.count, watched) == (first, 5, 5)
    assert main(["spot-fit", *SMALL, "--seed", "2", "--out", str(out)]) == 2
    assert "watched with other settings" in capsys.readouterr().err


def test_clips_of_people_who_are_left_out_are_not_looked_at(quick, tmp_path, monkeypatch):
    for name in (*CLIPS, "ben_1"):
        write_video(tmp_path / f"{name}.mp4", [portrait()] * 2)
    looked: list[tuple[str, int]] = []

    def watch(watcher: Watching, clip: RealClip, seed: int) -> SimpleNamespace:
        looked.append((clip.path.stem, seed - 1))
        return watcher.made(SimpleNamespace(resting=False), None)

    monkeypatch.setattr(spot_fit, "_watch_clip", watch)
    argv = [
        "--minutes",
        "0",
        "--rest",
        "0",
        "--videos",
        str(tmp_path),
        "--leave-out",
        "ben",
        "--rounds",
        "2",
        "--folds",
        "2",
    ]
    assert main(["spot-fit", *argv, "--out", str(tmp_path / "decision.json")]) == 0
    assert looked == [(name, turn) for turn in (0, 1) for name in CLIPS]
    words = json.loads((tmp_path / "decision.json").read_text())["training_data"]
    assert "10 real clips with made motion of 4 people" in words


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--minutes", "-1"], "--minutes, --video-minutes"),
        (["--folds", "1"], "--folds"),
        (["--minutes", "0", "--rest", "0"], "--minutes, --videos and --reviews: expected one of them at least"),
        (["--videos", "nowhere"], "nowhere: expected a folder of video files, found none"),
        (["--video-minutes", "0.01"], "script: expected a duration above the lead"),
    ],
)
def test_what_cannot_be_is_refused(quick, tmp_path, capsys, argv, says):
    assert main(["spot-fit", *SMALL, *argv, "--out", str(tmp_path / "decision.json")]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_the_live_program_really_watches(tmp_path, capsys):
    """Far too little to learn from, and that is what it says."""
    argv = ["--drawn", "1", "--minutes", "0.4", "--video-minutes", "0.2", "--rest", "0", "--folds", "2"]
    assert main(["spot-fit", *argv, "--out", str(tmp_path / "decision.json")]) == 1
    assert "10 or more candidates of either kind" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "decision.watched.jsonl").read_text().splitlines()]
    assert [line["seconds"] for line in lines[1:]] == pytest.approx([12.0, 12.0], abs=0.1)
    assert all(list(event["evidence"]) == list(REASONS) for line in lines[1:] for event in line["events"])
    assert any(line["events"] for line in lines[1:])

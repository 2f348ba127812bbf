"""What coders said of sessions' candidates teaches the decision."""

import json
from pathlib import Path

import numpy as np
import pytest

import train.spotting.decision_fit as decision_fit
from model.decision import SpottingDecision
from stream.engine.model_file import BUNDLED_MODEL
from stream.events.evidence import REASONS
from stream.events.judgement import Judge
from stream.session.facts import file_hash
from tests.helpers.reviewed import event, label, session, watched
from train.__main__ import main
from train.datasets.source import DatasetError
from train.spotting.decision_fit import JudgedVideo
from train.spotting.reviews import reviewed_videos

NEW = {"onset_s": 30.0, "apex_s": 30.1, "offset_s": 30.3, "label": "positive", "verdict": "accepted"}


def videos(*roots: Path, **more: object) -> tuple[list[JudgedVideo], list[str]]:
    return reviewed_videos(roots, (), None, BUNDLED_MODEL, **more)  # type: ignore[arg-type]


def test_accepted_candidates_are_hits_rejected_ones_misses_and_undecided_ones_not_used(tmp_path: Path) -> None:
    # The second lies where the first does, and is none all the same; the fifth was not seen whole.
    events = [event(3.0), event(3.1, rejected="overlap"), event(6.0), event(9.0), event(12.0, rejected="tracking_lost")]
    folder = session(tmp_path / "ann-1", events, model={"sha256": file_hash(BUNDLED_MODEL), "class_names": []})
    watched(folder, 60.0)
    label(folder, "cleo", e1="accepted", e2="rejected", e3="rejected", e5="rejected", a1=NEW)
    (video,), remarks = videos(folder.path)
    assert (video.person, video.group, remarks) == ("ann", "reviews", [])
    assert [candidate.apex_s for candidate in video.candidates] == [3.0, 3.1, 6.0]
    assert video.hits.tolist() == [True, False, False]
    assert [event.onset_s for event in video.truth] == [2.9, 30.0]
    # Of four candidates that can be learned from three are decided.
    assert video.minutes == pytest.approx(0.75 * 1.0)


def test_what_is_odd_is_told(tmp_path: Path) -> None:
    other = session(tmp_path / "s" / "ann-1", [event(3.0)], model={"sha256": "0" * 64})
    watched(other, 10.0)
    label(other, "cleo", e1="accepted")
    label(other, "dora", e1="rejected")
    old = session(tmp_path / "s" / "ben-1", [event(3.0, evidence={"size": 1.0})])
    watched(old, 10.0)
    label(old, "cleo", e1="accepted")
    session(tmp_path / "s" / "eve-1", [event(3.0)])
    (video,), remarks = videos(tmp_path / "s")
    assert video.person == "ann" and not video.candidates
    told = "\n".join(remarks)
    assert "ann-1 was made with another model than model.onnx" in told
    assert "e1 is not used, the coders are not of one mind (1 of 2 coders accept it)" in told
    assert "ben-1 was made by another version of the program" in told and "eve-1: was not reviewed" in told
    with pytest.raises(DatasetError, match="was not reviewed"):
        videos(tmp_path / "s" / "eve-1")


def reviewed(root: Path, people: int = 4, candidates: int = 30) -> None:
    """Of everybody's candidates the large ones are accepted."""
    rng = np.random.default_rng(3)
    for person in range(people):
        evidence = [dict(zip(REASONS, rng.normal(0, 1, len(REASONS)).tolist(), strict=True)) for _ in range(candidates)]
        folder = session(root / f"p{person}-1", [event(2.0 + 2 * n, evidence=one) for n, one in enumerate(evidence)])
        watched(folder, 2.0 * candidates + 5)
        verdicts = {f"e{n}": "accepted" if one["size"] > 0 else "rejected" for n, one in enumerate(evidence, start=1)}
        label(folder, "cleo", **verdicts)


def test_the_command_learns_from_reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(decision_fit, "_TRIED", {"n_estimators": [60], "max_depth": [2]})
    reviewed(tmp_path / "sessions")
    out, scores = tmp_path / "decision.json", tmp_path / "scores.json"
    argv = ["spot-fit", "--minutes", "0", "--rest", "0", "--folds", "2", "--reviews", str(tmp_path / "sessions")]
    assert main([*argv, "--out", str(out), "--json", str(scores)]) == 0
    decision = SpottingDecision.from_json(json.loads(out.read_text()))
    judge, usual = Judge(decision, 1.0), dict.fromkeys(decision.features, 0.0)
    assert judge.probability(usual | {"size": 2.0}) > 0.5 > judge.probability(usual | {"size": -2.0})
    assert "4 reviewed sessions of 4 people" in decision.training_data and len(decision.curve) > 2
    group = json.loads(scores.read_text())["groups"]["reviews"]
    assert (group["videos"], group["candidates"], group["recall_of_candidates"]) == (4, 120, 1.0)
    assert main([*argv, "--coder", "dora", "--out", str(out)]) == 2
    assert "was not reviewed by dora" in " ".join(capsys.readouterr().err.split())


def test_flags_of_reviews_go_with_reviews(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spot-fit", "--coder", "cleo", "--out", str(tmp_path / "decision.json")]) == 2
    assert "--subjects and --coder go with --reviews" in capsys.readouterr().err

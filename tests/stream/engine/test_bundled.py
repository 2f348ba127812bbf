"""The bundled model: what it says of itself is what its card says, and it sees what the demo shows."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from export.spotting_scores import with_spotting
from model.contract import NEUTRAL, ClipContract
from model.types import Frame
from stream.clock import SourceClock
from stream.engine.engines import WindowEngine
from stream.engine.model_file import BUNDLED_MODEL, choose_model, load_model
from stream.face.quality import ValiditySettings
from stream.face.tracker import FaceTracker
from stream.recognizer import Recognizer
from stream.sources.demo import DemoSource
from stream.stages import ClassifyStage, FaceStage
from tests.helpers.faces import noisy, portrait
from tests.helpers.model_card import table_with, tables_of
from tests.helpers.paths import ROOT
from train.assessment.condition_tables import sheets
from train.scores.metrics import scores as scores_of

ASSESSMENT = ROOT / "docs" / "assessment.json"


def test_both_files_carry_one_contract() -> None:
    window, streaming = load_model(BUNDLED_MODEL), load_model(choose_model(BUNDLED_MODEL, "streaming"))
    assert (window.kind, streaming.kind) == ("window", "streaming")
    assert window.contract == streaming.contract
    assert window.contract.class_names == ("negative", "positive", "surprise", NEUTRAL)
    assert "synthetic" in window.contract.training_data and "lies" in window.contract.disclaimer


@pytest.fixture(scope="module")
def card() -> str:
    return (ROOT / "docs" / "MODEL_CARD.md").read_text()


@pytest.fixture(scope="module")
def contract() -> ClipContract:
    return load_model(BUNDLED_MODEL).contract


def test_the_card_has_the_contracts_scores_and_command(card: str, contract: ClipContract) -> None:
    scores = contract.scores
    (row,) = table_with(tables_of(card), "UF1", "UAR", "accuracy", "chance UF1").rows
    assert list(row[:4]) == [f"{scores[name]:.3f}" for name in ("uf1", "uar", "accuracy", "chance_uf1")]
    assert f"n = {scores['n']:,} clips of {len(scores['validation_people'])} people" in card
    assert scores["command"] in card
    people = sorted(person.split("/", 1)[1] for person in scores["validation_people"])
    assert all(re.search(rf"\b{re.escape(person)}\b", card) for person in people)
    readme = (ROOT / "README.md").read_text()
    assert f"{scores['uf1']:.3f}" in readme and f"{scores['uar']:.3f}" in readme


def test_its_false_events_are_those_that_were_measured(card: str, contract: ClipContract) -> None:
    without = replace(contract, scores={k: v for k, v in contract.scores.items() if k != "spotting"})
    assert with_spotting(without, ROOT / "docs" / "benchmarks" / "spotting.json").scores == contract.scores
    found = contract.scores["spotting"]
    rates = [found[name]["false_per_min"] for name in ("made videos", "a resting face")]
    told = ", ".join(f"{rate:.2f}" if rate else "0" for rate in rates)
    (row,) = [line for line in card.splitlines() if line.startswith("| false events a watchable minute")]
    assert told in row and found["people"] == ["a02", "a06", "a10", "a14", "a18", "a22"]


def test_the_cards_scores_follow_from_its_confusion(card: str, contract: ClipContract) -> None:
    tables = tables_of(card)
    answered = table_with(tables, "truth, answered as", *contract.class_names)
    counts = np.array(
        [[int(answered.row(truth)[name]) for name in contract.class_names] for truth in contract.class_names]
    )
    found = scores_of(counts, contract.class_names)
    assert (found.n, f"{found.uf1:.3f}") == (contract.scores["n"], f"{contract.scores['uf1']:.3f}")
    by_class = table_with(tables, "class", "n", "recall", "precision", "F1")
    for name, score in found.per_class.items():
        said = by_class.row(name)
        assert int(said["n"]) == score.n
        assert [said[key] for key in ("recall", "precision", "F1")] == [
            f"{value:.3f}" for value in (score.recall, score.precision, score.f1)
        ]


def test_the_card_says_how_confidences_were_fitted(card: str, contract: ClipContract) -> None:
    tables = [t for t in tables_of(card) if t.headings[:1] == ("temperature",)]
    fitted = contract.calibration
    assert bool(tables) == (fitted is not None)
    if fitted is not None:
        said = dict(zip(tables[0].headings, tables[0].rows[0], strict=True))
        assert said["temperature"] == f"{fitted.temperature:.2f}"
        assert said["error before"] == f"{fitted.ece_before:.3f}" and said["error after"] == f"{fitted.ece_after:.3f}"
        assert said["n"] == f"{fitted.n:,}"


def test_the_cards_tables_of_unseen_people_are_those_of_the_assessment(card: str) -> None:
    if not ASSESSMENT.is_file():
        assert "train assess" not in card, f"{ASSESSMENT}: expected the numbers that the card tells of, found none"
        return
    report = json.loads(ASSESSMENT.read_text())
    assert report["command"] in card
    said = tables_of(card)
    for sheet in sheets(report):
        (expected,) = tables_of(sheet.markdown())
        assert expected in said, f"{sheet.title}: not in the card as `assess --markdown` prints it"


def test_tables_are_read_as_they_are_written() -> None:
    page = "text\n\n| a | **b** |\n|---|--:|\n| x | `1` |\n| y | 2 |\n\nmore | text\n\n| | |\n|---|---|\n| k | v |\n"
    first, second = tables_of(page)
    assert first.headings == ("a", "b") and first.rows == (("x", "1"), ("y", "2"))
    assert first.row("y") == {"a": "y", "b": "2"} and second.rows == (("k", "v"),)
    with pytest.raises(AssertionError, match="expected a table with the headings"):
        table_with([first], "b")


def test_the_demos_micro_expressions_are_labelled_in_time() -> None:
    """At least two of three, by most of the non-neutral labels between onset and ten frames after the offset."""
    source = DemoSource("fast")
    results = list(Recognizer().run(source))
    right = 0
    for event in source.events:
        inside = [r for r in results if event.onset_s <= r.frame.time_s <= event.offset_s + 10 / 30]
        labels = [r.prediction.label for r in inside if r.prediction and r.prediction.label != NEUTRAL]
        right += bool(labels) and max(labels, key=labels.count) == event.label
    assert right >= 2


def test_a_still_face_reads_neutral() -> None:
    """Six seconds of a portrait with sensor noise."""
    model = load_model(BUNDLED_MODEL)
    contract, validity = model.contract, ValiditySettings()
    tracker = FaceTracker(contract, validity)
    rng = np.random.default_rng(0)
    face = FaceStage(contract, tracker, SourceClock(contract.max_gap_s, contract.window_s), validity)
    classify = ClassifyStage(contract, lambda: WindowEngine(model))
    try:
        frames = (Frame(i, i / 30, noisy(portrait(), rng, 2.0), 0.0) for i in range(180))
        results = [classify.step(face.step(frame)) for frame in frames]
    finally:
        tracker.close()
    labels = [r.prediction.label for r in results if r.prediction]
    assert len(labels) == 151 and labels.count(NEUTRAL) >= 0.95 * len(labels)

"""The bundled model: what it says of itself is what its card says, and it sees what the demo shows."""

from pathlib import Path

import numpy as np

from model.contract import NEUTRAL
from model.types import Frame
from stream.engine import WindowEngine
from stream.faces import FaceTracker
from stream.model_file import BUNDLED_MODEL, choose_model, load_model
from stream.recognizer import Recognizer
from stream.sources import DemoSource
from stream.stages import ClassifyStage, FaceStage
from tests.faces import noisy, portrait

ROOT = Path(__file__).resolve().parent.parent


def test_both_files_carry_one_contract() -> None:
    window, streaming = load_model(BUNDLED_MODEL), load_model(choose_model(BUNDLED_MODEL, "streaming"))
    assert (window.kind, streaming.kind) == ("window", "streaming")
    assert window.contract == streaming.contract
    assert window.contract.class_names == ("negative", "positive", "surprise", NEUTRAL)
    assert "synthetic" in window.contract.training_data and "lies" in window.contract.disclaimer


def test_the_card_has_the_contracts_numbers_and_command() -> None:
    scores = load_model(BUNDLED_MODEL).contract.scores
    card = (ROOT / "docs" / "MODEL_CARD.md").read_text()
    for name in ("uf1", "uar", "accuracy", "chance_uf1"):
        assert f"{scores[name]:.3f}" in card, name
    assert f"{scores['n']:,}" in card and scores["command"] in card
    readme = (ROOT / "README.md").read_text()
    assert f"{scores['uf1']:.3f}" in readme and f"{scores['uar']:.3f}" in readme


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
    tracker = FaceTracker(model.contract)
    rng = np.random.default_rng(0)
    face, classify = FaceStage(model.contract, tracker), ClassifyStage(model.contract, lambda: WindowEngine(model))
    try:
        frames = (Frame(i, i / 30, noisy(portrait(), rng, 2.0), 0.0) for i in range(180))
        results = [classify.step(face.step(frame)) for frame in frames]
    finally:
        tracker.close()
    labels = [r.prediction.label for r in results if r.prediction]
    assert len(labels) == 151 and labels.count(NEUTRAL) >= 0.95 * len(labels)

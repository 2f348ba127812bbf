"""Confidences: the calibration error by hand, the temperature found again, and one model that has it folded in."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.console import Console
from scipy.special import softmax

from export.__main__ import main as export_main
from model.contract import Calibration, ClipContract
from model.errors import ContractError
from model.network import load_network
from stream.engine.engines import StreamingEngine
from stream.engine.model_file import load_model
from tests.helpers.runs import write_run
from tests.helpers.stores import CLASSES, write_store
from train.clips.store import ClipStore
from train.config_file import config_from
from train.fit.fit import fit
from train.scores.calibration import (
    HIGHEST,
    LOWEST,
    MIN_CLIPS,
    expected_calibration_error,
    fit_calibration,
    fit_temperature,
    fold_temperature,
    reliability,
    tempered,
)
from train.scores.evaluate import OnnxPredictor


def test_the_error_by_hand() -> None:
    # Two answers of confidence 0.9, one of them right; two of 0.6, both right: (2·|.5−.9| + 2·|1−.6|) / 4.
    answers = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.6, 0.4]]
    assert expected_calibration_error(answers, [0, 1, 1, 0]) == pytest.approx(0.4)
    bins = reliability(answers, [0, 1, 1, 0])
    assert [(b.n, b.accuracy) for b in bins] == [(2, 1.0), (2, 0.5)]
    assert [b.confidence for b in bins] == pytest.approx([0.6, 0.9])
    assert all(b.low < b.confidence <= b.high for b in bins)


def test_limits_of_bins_belong_to_the_bin_below() -> None:
    (only,) = reliability([[0.2, 0.8]], [1], bins=5)
    assert (only.low, only.high) == pytest.approx((0.6, 0.8))


@given(
    arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(2, 5)), elements=st.floats(-8, 8)), st.integers(0, 9)
)
def test_error_and_temperature_stay_in_their_limits(logits: np.ndarray, seed: int) -> None:
    truth = np.random.default_rng(seed).integers(0, logits.shape[1], len(logits))
    answers = softmax(logits, axis=1)
    assert 0 <= expected_calibration_error(answers, truth) <= 1
    assert sum(b.n for b in reliability(answers, truth)) == len(logits)
    assert LOWEST <= fit_temperature(answers, truth) <= HIGHEST


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_and_takes_the_error_away(temperature: float) -> None:
    rng = np.random.default_rng(1)
    true_logits = rng.normal(0, 2, (4000, 4))
    likely = softmax(true_logits, axis=1)
    truth = (likely.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    answers = softmax(true_logits * temperature, axis=1)  # as sure as if divided by 1 / temperature
    found = fit_temperature(answers, truth)
    assert found == pytest.approx(temperature, rel=0.06)
    calibrated = tempered(answers, found)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), answers.argmax(axis=1))
    assert expected_calibration_error(calibrated, truth) < 0.03
    if temperature != 1.0:
        assert expected_calibration_error(answers, truth) > 0.08


def test_certain_answers_stay_finite() -> None:
    answers = np.array([[1.0, 0.0, 0.0]] * 40, np.float32)
    calibration = fit_calibration(answers, [0] * 39 + [1], ["ann"])
    assert calibration is not None and np.isfinite(calibration.temperature)
    assert np.isfinite(tempered(answers, calibration.temperature)).all()


def test_too_few_clips_are_not_calibrated_on() -> None:
    answers = np.full((MIN_CLIPS - 1, 2), 0.5)
    assert fit_calibration(answers, [0] * (MIN_CLIPS - 1), ["ann"]) is None


@pytest.mark.parametrize("truth", [[0], [0, 2], [0, -1], []])
def test_answers_and_truth_that_do_not_fit_are_refused(truth: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        reliability([[0.5, 0.5], [0.2, 0.8]], truth)


def test_the_temperature_goes_into_the_model_and_both_exported_files(tmp_path: Path) -> None:
    contract = write_run(tmp_path / "run", frames=30)  # as many as the streaming model wants
    path = tmp_path / "run" / "model.keras"
    network, clips = load_network(path), np.load(tmp_path / "run" / "samples.npy").astype(np.float32)
    expected = tempered(network.predict_on_batch(clips), 0.25)
    assert np.abs(expected - network.predict_on_batch(clips)).max() > 0.01
    fold_temperature(network, 0.25)
    np.testing.assert_allclose(network.predict_on_batch(clips), expected, atol=1e-5)
    network.save(path)
    assert export_main([str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    np.testing.assert_allclose(OnnxPredictor(tmp_path / "out" / "model.onnx").predict(clips), expected, atol=1e-5)
    engine = StreamingEngine(load_model(tmp_path / "out" / "model.stream.onnx"))
    answer = None
    for index, frame in enumerate(clips[0]):
        answer = engine.step(frame)
        assert (answer is None) == (index < contract.frames - 1)
    assert answer is not None
    np.testing.assert_allclose(answer.probabilities, expected[0], atol=1e-5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipStore, Path, dict]:
    """One epoch, with enough held-out clips to calibrate on, a quarter of them labelled wrongly: nobody can be sure."""
    folder = tmp_path_factory.mktemp("calibrated")
    store = write_store(folder / "data", clips_each=10)
    lines = [json.loads(line) for line in (store.path / "clips.jsonl").read_text().splitlines()]
    for line in lines[::4]:
        line["label"] = CLASSES[(CLASSES.index(line["label"]) + 1) % len(CLASSES)]
    (store.path / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    store = ClipStore.open(store.path)
    values = {"variant": "plain", "input": "difference", "size_px": 32, "epochs": 1, "workers": 1}
    config = config_from({"data": [str(store.path)], "out": str(folder / "run"), "validation_share": 0.5} | values)
    return store, folder / "run", fit(config, Console(quiet=True))


def test_a_run_is_calibrated_on_its_validation_people(run) -> None:
    _, path, metrics = run
    contract = ClipContract.from_json((path / "contract.json").read_text())
    assert contract.calibration is not None
    assert list(contract.calibration.people) == metrics["validation_people"] and contract.calibration.n == metrics["n"]
    assert metrics["calibration"]["temperature"] == contract.calibration.temperature
    assert metrics["ece"] == pytest.approx(contract.calibration.ece_after, abs=1e-4)
    assert (path / "reliability.png").stat().st_size > 5_000
    lines = [json.loads(line) for line in (path / "predictions.jsonl").read_text().splitlines()]
    answers = np.array([list(line["probabilities"].values()) for line in lines])
    truth = [CLASSES.index(line["label"]) for line in lines]
    assert expected_calibration_error(answers, truth) == pytest.approx(metrics["ece"], abs=1e-4)
    # What is left to be fitted is nothing: the model itself gives the calibrated answers.
    assert fit_temperature(answers, truth) == pytest.approx(1.0, abs=0.02)


def test_predictions_are_the_saved_models_own(run) -> None:
    from train.scores.evaluate import evaluate, open_model

    store, path, metrics = run
    found = evaluate(open_model(path), store, metrics["validation_people"])
    lines = [json.loads(line) for line in (path / "predictions.jsonl").read_text().splitlines()]
    written = {line["id"]: list(line["probabilities"].values()) for line in lines}
    # Features are kept in half precision.
    np.testing.assert_allclose(found.probabilities, [written[i] for i in found.ids], atol=2e-3)


GOOD = Calibration(1.3, 0.08, 0.02, 100, ("synthetic/a04", "synthetic/a08"))


def test_a_calibration_survives_the_metadata() -> None:
    contract = ClipContract(("a", "b"), calibration=GOOD)
    assert ClipContract.from_metadata(contract.to_metadata()) == contract


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"ece_before": -0.1},
        {"ece_after": 1.1},
        {"n": 0},
        {"people": []},
        {"people": "a04"},
        {"people": [4]},
    ],
)
def test_a_calibration_that_cannot_be_is_refused(change: dict) -> None:
    raw = json.loads(ClipContract(("a", "b"), calibration=GOOD).to_json())
    raw["calibration"].update(change)
    with pytest.raises(ContractError, match=r"calibration.*expected .*, found"):
        ClipContract.from_json(json.dumps(raw))
    with pytest.raises(ContractError):
        dataclasses.replace(GOOD, **change)


def test_a_contract_of_the_version_before_says_so() -> None:
    raw = json.loads(ClipContract(("a", "b")).to_json())
    del raw["calibration"]
    raw["schema_version"] = 1
    with pytest.raises(ContractError, match="schema_version: expected 2, found 1"):
        ClipContract.from_json(json.dumps(raw))

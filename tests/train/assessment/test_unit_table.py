"""Action units of an assessment: truth from the clips' codes, models side by side, and the table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.contract import ActionUnits
from tests.helpers.models import CLASSES, save_tiny_model, tiny_contract
from tests.helpers.runs import write_run
from tests.helpers.stores import GEOMETRY, LEAD_FRAMES, write_store
from train.assessment.answers import answers, open_candidates
from train.assessment.unit_table import by_unit, unit_table
from train.clips.unit_targets import UNITS, unit_targets
from train.errors import UsageError
from train.scores.evaluate import open_model

CONTRACT = tiny_contract(action_units=replace(UNITS, threshold=0.3))
CODES = {"negative": ("4",), "positive": ("L12",), "surprise": ("1", "R2")}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    return write_store(tmp_path_factory.mktemp("units") / "store", class_names=CLASSES, units=CODES)


def test_models_are_scored_side_by_side_each_with_its_own_threshold(store):
    truth = np.stack([unit_targets(r.label, r.action_units) for r in store.records])
    sure = np.where(truth == 1, 0.9, 0.1).astype(np.float32)
    mirrored = sure.reshape(len(sure), -1, 2)[:, :, ::-1].reshape(sure.shape)
    other = tiny_contract(action_units=replace(UNITS, threshold=0.95))
    found = by_unit(store, [CONTRACT, CONTRACT, other], [sure, mirrored, sure])
    assert found["thresholds"] == [0.3, 0.3, 0.95]
    smile, brows = found["units"]["12"], found["units"]["4"]
    assert (smile["n"], brows["n"], found["units"]["26"]["n"]) == (8, 16, 0)
    assert smile["f1"]["values"] == [1.0, 0.0, 0.0] and brows["f1"]["values"] == [1.0, 1.0, 0.0]
    assert (smile["side_right"]["values"], smile["side_n"]) == ([1.0, 0.0], [8, 8, 0])
    assert smile["chance_f1"] == pytest.approx(2 * 8 / (8 + 64)) and brows["side_right"] is None
    assert found["macro_units"] == [1, 2, 4, 12]
    table = unit_table(found)
    assert [row[0] for row in table.rows] == [
        "1 inner brow raiser", "2 outer brow raiser", "4 brow lowerer", "12 lip corner puller", "mean of 4",
    ]  # fmt: skip
    assert all(len(row) == len(table.headings) for row in table.rows)
    assert "| 12 lip corner puller | 8 |" in table.markdown() and "0 to 8" in table.markdown()


def test_other_units_than_the_generators_are_refused(store):
    for units, said in ((ActionUnits((1, 4)), "found 1, 4"), (None, "found none")):
        with pytest.raises(UsageError, match=f"action units: expected models of 1, 2, .*{said}"):
            by_unit(store, [tiny_contract(action_units=units)], [np.zeros((len(store), 32), np.float32)])


def test_answers_hold_classes_and_then_units(tmp_path: Path):
    contract = write_run(tmp_path / "run", kind="difference", action_units=True)
    store = write_store(tmp_path / "store", ("ann",), clips_each=1)
    (found,) = answers(open_candidates([tmp_path / "run"]), store, LEAD_FRAMES / 30, 1, lambda clips: None)
    assert found.shape == (3, 3 + 32)
    np.testing.assert_allclose(found[:, :3].sum(axis=1), 1, atol=1e-5)
    predictor = open_model(tmp_path / "run")
    clips = np.random.default_rng(0).normal(size=(2, *contract.input_shape)).astype(np.float32)
    classes, units = predictor.predict_units(clips)
    np.testing.assert_array_equal(classes, predictor.predict(clips))
    assert units.shape == (2, 32) and (units > 0).all() and (units < 1).all()


def test_a_model_without_units_tells_none(tmp_path: Path):
    contract = tiny_contract(class_names=CLASSES, frames=9, crop=GEOMETRY)
    save_tiny_model(tmp_path / "model.onnx", contract)
    clips = np.zeros((2, *contract.input_shape), np.float32)
    assert [values.shape for values in open_model(tmp_path / "model.onnx").predict_units(clips)] == [(2, 4), (2, 0)]

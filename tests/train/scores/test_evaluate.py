"""Measuring a model on a clip store: the model's own preprocessing, pooled scores, and no TensorFlow for ONNX."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from export.__main__ import main as export_main
from model.contract import ClipContract, CropGeometry, NetworkInput, Reference
from model.preprocess import preprocess_clip
from stream.engine.model_file import BUNDLED_MODEL, choose_model
from tests.helpers.models import save_tiny_model, tiny_contract
from tests.helpers.paths import ROOT
from tests.helpers.runs import write_run
from tests.helpers.stores import CLASSES, FRAMES, GEOMETRY, LEAD_FRAMES, write_store
from train.__main__ import main
from train.clips.store import ClipStore
from train.errors import TrainError, UsageError
from train.scores.evaluate import OnnxPredictor, evaluate, open_model, require_fit
from train.scores.metrics import scores

WINDOW = FRAMES - LEAD_FRAMES


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "fake")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX model for the fake store that was made without TensorFlow."""
    path = tmp_path_factory.mktemp("tiny") / "model.onnx"
    save_tiny_model(path, fake_contract())
    return path


def fake_contract(**changes: object) -> ClipContract:
    base = {"class_names": CLASSES, "frames": WINDOW, "crop": GEOMETRY, "input": NetworkInput("flow", 32)}
    return tiny_contract(**(base | changes))


def test_answers_are_those_of_the_models_own_preprocessing(store, tiny):
    predictor = open_model(tiny)
    found = evaluate(predictor, store)
    session = onnxruntime.InferenceSession(str(tiny), providers=["CPUExecutionProvider"])
    for row in (0, 9, 23):
        clip = preprocess_clip(np.array(store.clips[row, ..., 0]), predictor.contract, 30.0)
        (expected,) = session.run(None, {"clip": clip[np.newaxis]})
        np.testing.assert_allclose(found.probabilities[row], expected[0], atol=1e-6)
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (store.labels, found.probabilities.argmax(axis=1)), 1)
    assert found.report["confusion"] == confusion.tolist()
    assert found.report["uf1"] == pytest.approx(scores(confusion, CLASSES).uf1)
    assert found.report["n"] == 24
    assert sum(row["n"] for row in found.report["by_peak"].values()) == 24
    assert found.ids == tuple(record.id for record in store.records)


def test_only_the_people_asked_for(store, tiny):
    found = evaluate(open_model(tiny), store, ["bob", "fake/dot"])
    assert found.report["people"] == ["fake/bob", "fake/dot"]
    rows = [row for row, person in enumerate(store.subjects) if person in ("bob", "dot")]
    whole = evaluate(open_model(tiny), store)
    np.testing.assert_array_equal(found.probabilities, whole.probabilities[rows])
    with pytest.raises(UsageError, match=r"--people: expected people of the data .*, found 'eve'"):
        evaluate(open_model(tiny), store, ["eve"])


def test_keras_run_and_its_export_give_the_same_report(store, tmp_path):
    write_run(tmp_path / "run")
    assert export_main([str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    keras_found = evaluate(open_model(tmp_path / "run"), store)
    onnx_found = evaluate(open_model(tmp_path / "out" / "model.onnx"), store)
    np.testing.assert_allclose(keras_found.probabilities, onnx_found.probabilities, atol=1e-5)
    assert keras_found.report == onnx_found.report
    assert np.ptp(keras_found.probabilities, axis=0).max() > 1e-4


def test_a_store_at_another_speed_is_resampled_to_the_models(tiny, tmp_path):
    slow = write_store(tmp_path / "slow", fps=32.0)
    found = evaluate(open_model(tiny), slow, ["ann"])
    # Nine frames at 30 fps last 8.53 frames at 32 fps: ten of them, from the window's start.
    clip = preprocess_clip(np.array(slow.clips[0, : LEAD_FRAMES + 10, ..., 0]), fake_contract(), 32.0)
    (expected,) = onnxruntime.InferenceSession(str(tiny)).run(None, {"clip": clip[np.newaxis]})
    np.testing.assert_allclose(found.probabilities[0], expected[0], atol=1e-6)
    fast = write_store(tmp_path / "fast", fps=100.0)
    with pytest.raises(TrainError, match="clip clip-001: clip: expected 9 frames at 30 fps"):
        evaluate(open_model(tiny), fast)


def test_stores_that_do_not_fit_the_model_are_refused(store, tmp_path):
    four = write_store(tmp_path / "four", class_names=(*CLASSES, "neutral"), clips_each=1)
    larger = write_store(tmp_path / "larger", geometry=CropGeometry(40, 12.0, 12.0), clips_each=1)
    for other, what in (
        (four, "classes: the model expects negative, positive, surprise, found"),
        (larger, "crop: the model expects"),
    ):
        with pytest.raises(UsageError, match=what):
            require_fit(other, fake_contract())
    pixels = fake_contract(input=NetworkInput("pixels", 32, "rgb"), reference=Reference())
    with pytest.raises(UsageError, match="colour: the model expects rgb, found grey"):
        require_fit(store, pixels)
    require_fit(write_store(tmp_path / "rgb", colour="rgb", clips_each=1), fake_contract())


def test_models_that_cannot_be_measured_are_refused(tmp_path, tiny):
    (tmp_path / "text.onnx").write_text("not a model")
    save_tiny_model(tmp_path / "bare.onnx", fake_contract(), metadata={})
    value = helper.make_tensor_value_info("frame", TensorProto.FLOAT, ["batch", 32, 32, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["frame"], ["probabilities"])], "g", [value], [])
    graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None))
    frame_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, text in fake_contract().to_metadata().items():
        frame_model.metadata_props.add(key=key, value=text)
    onnx.save(frame_model, str(tmp_path / "frame.onnx"))
    (tmp_path / "folder").mkdir()
    named = onnx.load(str(tiny))
    named.graph.output[0].name = named.graph.node[-1].output[0] = "answers"
    onnx.save(named, str(tmp_path / "named.onnx"))
    cases = [
        ("text.onnx", "cannot be loaded as an ONNX model"),
        ("bare.onnx", "microlive.contract"),
        ("frame.onnx", r"frame\.onnx: model output: expected"),
        (
            "named.onnx",
            "expected a window model that answers with probabilities, found a window model that answers with answers",
        ),
        ("nothing.onnx", "found nothing"),
        ("folder", "expected a finished run"),
    ]
    for name, message in cases:
        with pytest.raises(UsageError, match=message):
            open_model(tmp_path / name)
    with pytest.raises(
        UsageError, match="expected a window model that answers with probabilities, found a streaming model"
    ):
        open_model(choose_model(BUNDLED_MODEL, "streaming"))
    assert isinstance(open_model(tiny), OnnxPredictor)


def test_a_keras_model_needs_its_contract(tmp_path):
    write_run(tmp_path / "run")
    contract = tmp_path / "run" / "contract.json"
    wrong = json.loads(contract.read_text()) | {"frames": 12}
    contract.write_text(json.dumps(wrong))
    with pytest.raises(UsageError, match=r"expected \(12, 32, 32, 1\) as in its contract, found \(9, 32, 32, 1\)"):
        open_model(tmp_path / "run" / "model.keras")
    contract.write_bytes(b"\xff\xfe{}")
    with pytest.raises(UsageError, match="codec can't decode"):
        open_model(tmp_path / "run")
    contract.write_text("{}")
    with pytest.raises(UsageError, match="schema_version"):
        open_model(tmp_path / "run")
    contract.unlink()
    with pytest.raises(UsageError, match="expected the model's contract"):
        open_model(tmp_path / "run")


def test_the_command_writes_json_and_never_loads_tensorflow(store, tiny, tmp_path):
    out = tmp_path / "scores.json"
    code = (
        "import sys\n"
        "from train.__main__ import main\n"
        "code = main(sys.argv[1:])\n"
        "print('LOADED', code, sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras'}))\n"
    )
    arguments = ["eval", "--data", str(store.path), "--model", str(tiny), "--json", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert "LOADED 0 []" in done.stdout, done.stdout + done.stderr
    assert "chance: UF1" in done.stdout
    report = json.loads(out.read_text())
    assert {"n", "uf1", "uar", "accuracy", "chance_uf1", "per_class", "confusion", "by_peak", "command"} <= set(report)
    assert report["n"] == 24
    assert report["command"] == f"python -m train eval --data {store.path} --model {tiny} --json {out}"


def test_json_to_standard_output_is_all_there_is(store, tiny, capsys):
    assert main(["eval", "--data", str(store.path), "--model", str(tiny), "--people", "ann", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["people"] == ["fake/ann"]


def test_bad_arguments_get_one_clear_line_and_exit_2(store, tiny, tmp_path, capsys):
    cases = [
        (["--data", str(tmp_path / "nothing"), "--model", str(tiny)], "expected a clip store (a folder), found none"),
        (["--data", str(tmp_path), "--model", str(tiny)], "manifest.json: missing"),
        (["--data", str(store.path), "--model", str(tmp_path / "no.onnx")], "expected a model"),
        (["--data", str(store.path), "--model", str(tiny), "--people", "eve"], "--people: expected people"),
        (
            ["--data", str(store.path), "--model", str(tiny), "--json", str(tmp_path / "a" / "b.json")],
            "expected an existing folder",
        ),
    ]
    for arguments, message in cases:
        assert main(["eval", *arguments]) == 2, arguments
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
    with pytest.raises(SystemExit) as caught:
        main(["eval"])
    assert caught.value.code == 2

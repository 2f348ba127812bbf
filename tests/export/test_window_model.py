"""Export: a sound ONNX model that answers like the network, or nothing at all."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import export.window_model
from export.__main__ import _untrained_run, main
from export.errors import ExportError
from export.spotting_scores import with_spotting
from export.verify import check_model, check_parity, moving_clips, random_clips
from export.window_model import build_window_model, half_precision, require_fit
from model.contract import ClipContract
from model.network import load_network
from stream.engine import engines
from stream.engine.model_file import load_model
from tests.helpers.models import save_tiny_model
from tests.helpers.runs import write_run
from train.clips.unit_targets import UNITS


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ClipContract, Path]:
    """The paper's whole network on flow, exported: (run, contract, folder of the export)."""
    folder = tmp_path_factory.mktemp("paper")
    contract = write_run(folder / "run", kind="flow", variant="paper", frames=11)
    assert main([str(folder / "run"), "--out", str(folder / "out")]) == 0
    return folder / "run", contract, folder / "out"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ClipContract]:
    path = tmp_path_factory.mktemp("plain") / "run"
    return path, write_run(path, kind="pixels")


def change_last_weights(model: onnx.ModelProto, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes the weights (64, 3) of the last dense layer."""
    (weights,) = [tensor for tensor in model.graph.initializer if list(tensor.dims) == [64, 3]]
    weights.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(weights)).astype(np.float32), weights.name))


def test_the_model_is_standard_onnx_without_control_flow(paper):
    run, _, out = paper
    model = onnx.load(str(out / "model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not {node.op_type for node in model.graph.node} & {"Loop", "Scan", "If"}
    parameters = load_network(run / "model.keras").count_params()
    assert (out / "model.onnx").stat().st_size < 4 * parameters + 200_000


def test_inputs_outputs_and_contract(paper):
    _, contract, out = paper
    session = onnxruntime.InferenceSession(str(out / "model.onnx"), providers=["CPUExecutionProvider"])
    (clip,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (clip.name, clip.shape, clip.type) == ("clip", ["batch", 11, 32, 32, 3], "tensor(float)")
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["batch", 3])
    assert ClipContract.from_metadata(session.get_modelmeta().custom_metadata_map) == contract


def test_answers_are_the_networks_for_any_batch(paper):
    run, contract, out = paper
    session = onnxruntime.InferenceSession(str(out / "model.onnx"), providers=["CPUExecutionProvider"])
    network = load_network(run / "model.keras")
    clips = np.concatenate([random_clips(contract, 3, 11), moving_clips(contract, 2, 11)])
    expected = np.asarray(network(clips, training=False))
    for count in (1, 5):
        (found,) = session.run(None, {"clip": clips[:count]})
        np.testing.assert_allclose(found, expected[:count], atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-3  # clips that all get one answer would prove nothing
    report = json.loads((out / "parity.json").read_text())
    assert report["clips"] == {"random": 3, "moving": 2, "real": 2}
    assert max(report["max_difference"].values()) <= report["tolerance"] == 1e-5
    assert sorted(path.name for path in out.iterdir()) == ["model.onnx", "model.stream.onnx", "parity.json"]
    streaming = report["streaming"]
    assert streaming["written"] and max(streaming["to_network"].values()) <= 1e-5 and streaming["steps"] >= 4 * 11


def test_pixels_go_in_as_bytes(plain, tmp_path, capsys):
    path, contract = plain
    assert main([str(path / "model.keras"), "--out", str(tmp_path / "deep" / "out"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == pytest.approx((tmp_path / "deep" / "out" / "model.onnx").stat().st_size, abs=100)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "deep" / "out" / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    assert session.get_inputs()[0].type == "tensor(uint8)"
    clips = random_clips(contract, 2, 0)
    expected = np.asarray(load_network(path / "model.keras")(clips, training=False))
    np.testing.assert_allclose(session.run(None, {"clip": clips})[0], expected, atol=1e-5)


def test_an_export_that_does_not_match_is_refused_and_leaves_what_was_there(plain, tmp_path, capsys, monkeypatch):
    path, _ = plain

    def wrong(network, contract):
        model = build_window_model(network, contract)
        change_last_weights(model, lambda weights: 1.01 * weights)
        return model

    monkeypatch.setattr(export.window_model, "build_window_model", wrong)
    assert main([str(path), "--out", str(tmp_path / "new")]) == 1
    assert "parity: expected probabilities within 1e-05" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.onnx").write_text("the model before")
    assert main([str(path), "--out", str(tmp_path / "old")]) == 1
    assert [(p.name, p.read_text()) for p in (tmp_path / "old").iterdir()] == [("model.onnx", "the model before")]
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


def test_answers_that_are_not_numbers_are_refused(plain):
    path, contract = plain
    network = load_network(path / "model.keras")
    model = build_window_model(network, contract)
    change_last_weights(model, lambda weights: np.full_like(weights, np.nan))
    with pytest.raises(ExportError, match="parity"):
        check_parity(network, model, contract)


@pytest.mark.parametrize(
    "change",
    [{"class_names": ("a", "b")}, {"frames": 10}],
)
def test_a_network_that_is_not_the_contracts_is_refused(plain, change):
    path, contract = plain
    with pytest.raises(ExportError, match=r"expected .* as in the contract, found .* in the network"):
        require_fit(load_network(path / "model.keras"), replace(contract, **change))


def test_scaling_that_is_not_the_contracts_is_refused(plain):
    path, contract = plain
    with pytest.raises(ExportError, match=r"scaling \(offset, scale\): expected \(90.0, 100.0\)"):
        require_fit(load_network(path / "model.keras"), replace(contract, input=replace(contract.input, scale=100.0)))


def test_foreign_operators_and_control_flow_are_refused(tmp_path):
    def model(node, opsets=(("", 17),)):
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
        graph = helper.make_graph([node], "g", [value], [out])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid(*o) for o in opsets], ir_version=8)

    check_model(model(helper.make_node("Relu", ["x"], ["y"])))
    with pytest.raises(ExportError, match=r"ONNX's own only, found com\.microsoft\.Gelu"):
        check_model(
            model(helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft"), (("", 17), ("com.microsoft", 1)))
        )
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "b",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])],
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    choice = model(node)
    choice.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    with pytest.raises(ExportError, match="no control flow, found If"):
        check_model(choice)
    with pytest.raises(ExportError, match="the ONNX checker refused"):
        check_model(model(helper.make_node("Relu", ["nowhere"], ["y"])))


def test_bad_paths_get_one_clear_line(plain, tmp_path, capsys):
    path, _ = plain
    save_tiny_model(tmp_path / "tiny.onnx")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "model.keras").write_bytes((path / "model.keras").read_bytes())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.keras").write_text("no zip")
    (tmp_path / "broken" / "contract.json").write_text((path / "contract.json").read_text())
    cases = [
        (tmp_path / "nothing", 2, "expected a finished run's folder"),
        (tmp_path, 2, "expected a finished run's folder"),
        (tmp_path / "bare", 2, "expected the model's contract beside it"),
        (tmp_path / "broken", 1, "not a Keras model that can be read"),
    ]
    for run, code, message in cases:
        assert main([str(run), "--out", str(tmp_path / "out")]) == code
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit) as caught:
        main([str(path)])
    assert caught.value.code == 2


@pytest.mark.slow
def test_half_precision_is_written_on_request_and_answers_alike(paper, tmp_path):
    run, contract, out = paper
    assert main([str(run), "--out", str(tmp_path / "half"), "--fp16"]) == 0
    report = json.loads((tmp_path / "half" / "parity.json").read_text())
    assert max(report["fp16"]["to_network"].values()) < 2e-2
    for name in ("model.onnx", "model.stream.onnx"):
        half, full = tmp_path / "half" / name.replace("model", "model.fp16"), out / name
        assert half.stat().st_size < 0.6 * full.stat().st_size
        assert load_model(half).contract == contract


def test_a_depth_that_cannot_stream_gets_the_window_model_and_the_reason(tmp_path, capsys):
    write_run(tmp_path / "run", frames=9)
    assert main([str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    assert "not written" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model.onnx", "parity.json"]
    assert json.loads((tmp_path / "out" / "parity.json").read_text())["streaming"]["written"] is False


SPOTTED = {
    "people": ["x1", "x2"],
    "command": "python -m train spot-eval --people x1,x2",
    "minutes": 12.0,
    "micro": {"n": 40, "localised": {"f1": 0.8}, "with_class": {"f1": 0.75}, "false_per_min": 0.25},
    "chance": {"f1": 0.01},
    "rest": {"minutes": 5.0, "false_per_min": 0.0},
    "quiet": None,
}


def test_spotting_scores_travel_in_both_files(paper, tmp_path):
    (tmp_path / "spotted.json").write_text(json.dumps(SPOTTED))
    given = ["--spotting", str(tmp_path / "spotted.json"), "--out", str(tmp_path / "out")]
    assert main([str(paper[0]), *given]) == 0
    scores = load_model(tmp_path / "out" / "model.onnx").contract.scores
    assert {key: scores[key] for key in paper[1].scores} == paper[1].scores
    assert scores["spotting"]["made videos"] == {"minutes": 12.0, "false_per_min": 0.25}
    assert scores["spotting"]["a resting face"] == {"minutes": 5.0, "false_per_min": 0.0}
    assert "clips without annotated events" not in scores["spotting"]
    assert scores["spotting"]["people"] == ["x1", "x2"] and scores["spotting"]["f1"] == 0.8
    assert load_model(tmp_path / "out" / "model.stream.onnx").contract.scores == scores


def test_scores_of_each_kind_of_video_are_told(plain, tmp_path):
    """As `spot-eval` tells them: where nothing was watchable a rate is not known."""
    group = {
        "minutes": 4.0,
        "watchable_minutes": 3.0,
        "false_per_min": 1 / 3,
        "n": 20,
        "people": ["v1", "v2"],
        "recall": 0.55,
        "recall_at": {"0.25": 0.4, "0.5": 0.6, "1": 0.7},
    }
    unseen = group | {"watchable_minutes": 0.0, "false_per_min": None, "recall_at": {"0.5": None, "1": None}}
    path = tmp_path / "spotted.json"
    path.write_text(json.dumps(SPOTTED | {"groups": {"clips": {}, "calm clips": group, "moving clips": unseen}}))
    found = with_spotting(plain[1], path).scores["spotting"]
    assert "clips" not in found and found["moving clips"]["recall at 1 a minute"] is None
    assert found["calm clips"] == {
        "minutes": 4.0,
        "watchable_minutes": 3.0,
        "false_per_min": 0.3333,
        "n": 20,
        "people": ["v1", "v2"],
        "recall": 0.55,
        "recall at 0.5 a minute": 0.6,
        "recall at 1 a minute": 0.7,
    }
    assert with_spotting(plain[1], path).to_json()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps(SPOTTED | {"micro": 3}),
        json.dumps(SPOTTED | {"groups": {"calm clips": {}}}),
        json.dumps(SPOTTED | {"minutes": "x"}),
    ],
)
def test_other_files_are_no_spotting_scores(plain, tmp_path, capsys, text):
    (tmp_path / "spotted.json").write_text(text)
    given = ["--spotting", str(tmp_path / "spotted.json"), "--out", str(tmp_path / "out")]
    assert main([str(plain[0]), *given]) == 1
    assert "expected what `python -m train spot-eval --json` writes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def with_units(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ClipContract]:
    path = tmp_path_factory.mktemp("units") / "run"
    return path, write_run(path, kind="difference", action_units=True)


def test_action_units_are_a_second_output_with_the_networks_answers(with_units):
    path, contract = with_units
    network = load_network(path / "model.keras")
    model = build_window_model(network, contract)
    check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shapes = {port.name: (port.shape, port.type) for port in session.get_outputs()}
    assert list(shapes) == ["probabilities", "action_units"]
    assert shapes["action_units"] == (["batch", 32], "tensor(float)")
    clips = moving_clips(contract, 3, 11)
    expected = network(clips, training=False)
    for name, found in zip(shapes, session.run(list(shapes), {"clip": clips}), strict=True):
        np.testing.assert_allclose(found, np.asarray(expected[name]), atol=1e-5)
    assert ClipContract.from_metadata(session.get_modelmeta().custom_metadata_map).action_units == contract.action_units
    halved = onnxruntime.InferenceSession(half_precision(model).SerializeToString(), providers=["CPUExecutionProvider"])
    assert {port.type for port in halved.get_outputs()} == {"tensor(float)"}
    for name, found in zip(shapes, halved.run(list(shapes), {"clip": clips}), strict=True):
        np.testing.assert_allclose(found, np.asarray(expected[name]), atol=2e-2)


def test_action_units_that_do_not_match_are_refused(with_units):
    path, contract = with_units
    network = load_network(path / "model.keras")
    model = build_window_model(network, contract)
    assert check_parity(network, model, contract).worst <= 1e-5
    (bias,) = [tensor for tensor in model.graph.initializer if list(tensor.dims) == [128, 32]]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) * np.float32(1.01), bias.name))
    with pytest.raises(ExportError, match="parity: expected probabilities within 1e-05"):
        check_parity(network, model, contract)
    with pytest.raises(ExportError, match="action units: expected 0 as in the contract, found 16 in the network"):
        require_fit(network, replace(contract, action_units=None))


@pytest.mark.skipif(not hasattr(engines, "Answer"), reason="engines that tell action units are not there yet")
def test_a_run_with_action_units_is_exported_whole(tmp_path):
    contract = write_run(tmp_path / "run", kind="difference", variant="paper", frames=11, action_units=True)
    assert main([str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--fp16"]) == 0
    report = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert max(report["streaming"]["to_network"].values()) <= 1e-5
    model = onnx.load(str(tmp_path / "out" / "model.stream.onnx"))
    assert {"probabilities", "action_units"} <= {tensor.name for tensor in model.graph.output}
    assert load_model(tmp_path / "out" / "model.stream.onnx").contract == contract


def test_an_untrained_network_may_tell_action_units(capsys, tmp_path):
    assert _untrained_run(True).contract.action_units == UNITS
    assert main([str(tmp_path), "--action-units", "--out", str(tmp_path / "out")]) == 2
    assert "--action-units goes with --untrained" in " ".join(capsys.readouterr().err.split())

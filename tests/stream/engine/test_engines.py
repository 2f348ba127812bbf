"""Loading models and running them over a sliding window."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from model.contract import ActionUnits, CropGeometry, NetworkInput, Reference
from model.errors import ContractError
from stream.engine.batch_stepper import BatchStepper
from stream.engine.engines import StreamingEngine, WindowEngine, step_together
from stream.engine.model_file import ModelError, RuntimeSettings, load_model, states_of
from tests.helpers.models import save_tiny_model, save_tiny_streaming_model, tiny_contract


def test_the_window_engine_answers_from_the_first_full_window_on(tmp_path: Path) -> None:
    contract = save_tiny_model(tmp_path / "m.onnx")
    model = load_model(tmp_path / "m.onnx")
    assert model.contract == contract and model.provider == "CPU"
    engine = WindowEngine(model)
    frames = np.random.default_rng(0).normal(0, 1, (75, 32, 32, 3)).astype(np.float32)
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for start in (0, 75):
        for i, frame in enumerate(frames):
            answer = engine.step(frame)
            assert engine.filled == min(i + 1, 30)
            if i < 29:
                assert answer is None
            else:
                expected = session.run(None, {"clip": frames[np.newaxis, i - 29 : i + 1]})[0][0]
                assert answer is not None and answer.action_units.shape == (0,)
                np.testing.assert_allclose(answer.probabilities, expected, atol=1e-6)
        engine.reset()
        assert engine.filled == 0, start


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a model file"):
        load_model(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="is not a model file"):
        load_model(tmp_path)
    for content in (b"", b"not a model at all", b"\x08\x08\x12" + bytes(range(200))):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises((ModelError, ContractError)) as caught:
            load_model(tmp_path / "bad.onnx")
        assert "\n" not in str(caught.value)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "m.onnx")
    whole = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ModelError, ContractError)):
        load_model(tmp_path / "cut.onnx")


def test_a_model_without_a_contract_is_refused(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "m.onnx", metadata={"author": "someone"})
    with pytest.raises(ContractError, match="python -m export"):
        load_model(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "claimed",
    [
        tiny_contract(input=NetworkInput("flow", 64)),
        tiny_contract(frames=20),
        tiny_contract(input=NetworkInput("difference", 32)),
        tiny_contract(input=NetworkInput("pixels", 32, "rgb"), reference=Reference()),
        tiny_contract(class_names=("a", "b")),
    ],
)
def test_a_contract_that_does_not_fit_its_graph_is_refused(tmp_path: Path, claimed: object) -> None:
    save_tiny_model(tmp_path / "m.onnx", metadata=claimed.to_metadata())  # type: ignore[attr-defined]
    with pytest.raises(ContractError, match=r"expected .* found "):
        load_model(tmp_path / "m.onnx")


def test_a_streaming_models_states_are_read_from_its_names(tmp_path: Path) -> None:
    contract = save_tiny_streaming_model(tmp_path / "m.stream.onnx", tiny_contract(frames=9))
    model = load_model(tmp_path / "m.stream.onnx")
    [state] = states_of(model.session, contract)
    assert (state.name, state.shape, state.ages, state.dtype) == ("logits", (4,), tuple(range(1, 9)), "float32")
    engine = StreamingEngine(model)
    answers = [engine.step(np.zeros((32, 32, 3), np.float32)) for _ in range(9)]
    assert all(answer is None for answer in answers[:8])
    assert answers[8] is not None and answers[8].action_units.shape == (0,)
    np.testing.assert_allclose(answers[8].probabilities, [0.25] * 4)


UNITS = ActionUnits((1, 4, 12), threshold=0.4)


def test_engines_tell_action_units_alike(tmp_path: Path) -> None:
    """Past several windows and after a reset, in streams of their own too."""
    contract = tiny_contract(frames=9, action_units=UNITS)
    save_tiny_model(tmp_path / "m.onnx", contract)
    save_tiny_streaming_model(tmp_path / "m.stream.onnx", contract)
    streaming = load_model(tmp_path / "m.stream.onnx")
    plain, fast = WindowEngine(load_model(tmp_path / "m.onnx")), StreamingEngine(streaming)
    rng = np.random.default_rng(1)
    for _ in range(2):
        stepper = BatchStepper(streaming, 2)
        together = [StreamingEngine(stepper) for _ in range(2)]
        for index in range(40):
            frame = rng.normal(0, 1, (32, 32, 3)).astype(np.float32)
            expected, found = plain.step(frame), fast.step(frame)
            one, other = step_together(together, [frame, -frame])
            assert (expected is None) == (found is None) == (one is None) == (other is None) == (index < 8)
            if expected is not None and found is not None and one is not None and other is not None:
                assert found.action_units.shape == (6,) and found.action_units.dtype == np.float32
                np.testing.assert_allclose(found.action_units, expected.action_units, atol=1e-6)
                np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)
                np.testing.assert_allclose(one.action_units, expected.action_units, atol=1e-6)
                np.testing.assert_allclose(other.action_units, 1 - expected.action_units, atol=1e-6)
                assert np.ptp(expected.action_units) > 0.01
        plain.reset()
        fast.reset()


@pytest.mark.parametrize(
    ("claimed", "told", "says"),
    [
        (None, UNITS, r"expected action_units.*found .*probabilities"),
        (UNITS, ActionUnits((1, 4)), r"model output action_units: expected \('batch', 4\), found \('batch', 6\)"),
    ],
)
def test_action_units_that_do_not_fit_the_contract_are_refused(
    tmp_path: Path, claimed: ActionUnits | None, told: ActionUnits, says: str
) -> None:
    graph, contract = (tiny_contract(frames=9, action_units=units) for units in (claimed, told))
    for save, name in ((save_tiny_model, "m.onnx"), (save_tiny_streaming_model, "m.stream.onnx")):
        save(tmp_path / name, graph)
        model = onnx.load(str(tmp_path / name))
        model.metadata_props[0].value = contract.to_json()
        onnx.save(model, str(tmp_path / name))
        with pytest.raises(ContractError, match=says):
            load_model(tmp_path / name)


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def _size(model: onnx.ModelProto, name: str, size: int | str) -> None:
    value = next(value for value in (*model.graph.input, *model.graph.output) if value.name == name)
    dim = value.type.tensor_type.shape.dim[-1]
    if isinstance(size, str):
        dim.dim_param = size
    else:
        dim.dim_value = size


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda m: _rename(m, "probabilities", "answers"), "model outputs: expected next_state_logits, probabilities"),
        (lambda m: _rename(m, "next_state_logits", "next_state_x"), "model outputs: expected next_state_logits"),
        (
            lambda m: _rename(m, "state_logits_8", "state_logits_999999"),
            "ages of the model's state logits: expected 1 to 9",
        ),
        (lambda m: _rename(m, "state_logits_8", "state_logits_0"), "ages of the model's state logits: expected 1 to 9"),
        (lambda m: _rename(m, "state_logits_8", "stat"), "expected frame or state_NAME_AGE, found stat"),
        (lambda m: _size(m, "state_logits_8", "n"), "expected sizes that are known"),
    ],
)
def test_states_that_do_not_fit_are_refused(tmp_path: Path, damage, says: str) -> None:
    save_tiny_streaming_model(tmp_path / "m.stream.onnx", tiny_contract(frames=9))
    model = onnx.load(str(tmp_path / "m.stream.onnx"))
    damage(model)
    onnx.save(model, str(tmp_path / "m.stream.onnx"))
    with pytest.raises(ContractError, match=says):
        load_model(tmp_path / "m.stream.onnx")


def test_a_model_that_cannot_be_run_says_so(tmp_path: Path) -> None:
    """It takes a class that is not there, which only a run finds out."""
    contract = save_tiny_model(tmp_path / "m.onnx", tiny_contract(frames=9))
    model = onnx.load(str(tmp_path / "m.onnx"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 1, 2, 99]), "classes"))
    gather = onnx.helper.make_node("Gather", ["logits", "classes"], ["chosen"], axis=1)
    model.graph.node.insert(len(model.graph.node) - 1, gather)
    model.graph.node[-1].input[0] = "chosen"
    onnx.save(model, str(tmp_path / "m.onnx"))
    engine = WindowEngine(load_model(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"fails when it is run: .*export it again"):
        for _ in range(contract.frames):
            engine.step(np.zeros((32, 32, 3), np.float32))


def test_an_output_without_classes_is_refused(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "m.onnx")
    model = onnx.load(str(tmp_path / "m.onnx"))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(tmp_path / "m.onnx"))
    # The runtime finds the sizes out by itself, or says that it does not know them.
    try:
        assert load_model(tmp_path / "m.onnx").contract
    except ContractError as error:
        assert "model output: expected" in str(error)


def test_another_crop_geometry_is_the_models_own_affair(tmp_path: Path) -> None:
    contract = save_tiny_model(tmp_path / "m.onnx", tiny_contract(crop=CropGeometry(96, 33.0, 31.0)))
    assert load_model(tmp_path / "m.onnx").contract == contract


@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers() and Path("/dev/nvidia0").exists(), reason="has a GPU"
)
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_fails_loudly(tmp_path: Path, provider: str) -> None:
    save_tiny_model(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=f"--provider {provider} is not available"):
        load_model(tmp_path / "m.onnx", RuntimeSettings(provider))  # type: ignore[arg-type]

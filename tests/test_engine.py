"""Loading models and running them over a sliding window."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from model.contract import ContractError, CropGeometry, NetworkInput, Reference
from stream.engine import WindowEngine
from stream.model_file import ModelError, SessionSettings, load_model
from tests.models import save_tiny_model, tiny_contract


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
                np.testing.assert_allclose(answer, expected, atol=1e-6)
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
        load_model(tmp_path / "m.onnx", SessionSettings(provider))  # type: ignore[arg-type]

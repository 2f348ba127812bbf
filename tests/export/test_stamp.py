"""Exported models get another contract: decision and scores change, the graph does not, and it is all files or none."""

import dataclasses
import json
import shutil
from pathlib import Path

import onnx
import pytest

from export.__main__ import main
from export.stamp import model_pair
from model.decision import CurvePoint, DecisionTree, SpottingDecision
from stream.engine.model_file import load_model
from stream.events.evidence import REASONS
from tests.helpers.models import save_tiny_model
from tests.helpers.runs import write_run


def decision() -> SpottingDecision:
    curve = (CurvePoint(0.2, 4.0, 0.9), CurvePoint(0.7, 0.5, 0.6))
    trees = (DecisionTree.stump(0, 0.5, -1.0, 1.0),)
    return SpottingDecision(tuple(REASONS), -0.5, trees, (0.5, 2.0, -1.0, -0.5, 0.0), curve, "made up")


@pytest.fixture
def told(tmp_path: Path) -> Path:
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(dataclasses.asdict(decision())))
    return path


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A window model, and what stands for the streaming model beside it (its graph does not matter here)."""
    (tmp_path / "models").mkdir()
    save_tiny_model(tmp_path / "models" / "model.onnx")
    save_tiny_model(tmp_path / "models" / "model.stream.onnx")
    (tmp_path / "models" / "parity.json").write_text("{}")
    return tmp_path / "models" / "model.onnx"


def graph(path: Path) -> bytes:
    return onnx.load(str(path)).graph.SerializeToString()


@pytest.mark.parametrize("given", ["model.onnx", "model.stream.onnx"])
def test_both_models_get_the_decision_in_their_own_folder(pair: Path, told: Path, given: str) -> None:
    old = load_model(pair).contract
    graphs = {path: graph(path) for path in model_pair(pair)}
    for _ in range(2):
        assert main([str(pair.with_name(given)), "--decision", str(told), "--out", str(pair.parent)]) == 0
    assert len(graphs) == 2 and {path: graph(path) for path in graphs} == graphs
    for path in graphs:
        assert load_model(path).contract == dataclasses.replace(old, decision=decision())
        assert len(onnx.load(str(path)).metadata_props) == 1
    assert sorted(path.name for path in pair.parent.iterdir()) == ["model.onnx", "model.stream.onnx", "parity.json"]


def test_another_folder_gets_copies(pair: Path, told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = pair.read_bytes()
    pair.with_name("model.stream.onnx").unlink()
    out = tmp_path / "new" / "folder"
    out.parent.mkdir()
    assert main([str(pair), "--decision", str(told), "--out", str(out), "--json"]) == 0
    assert [path.name for path in out.iterdir()] == ["model.onnx"] and pair.read_bytes() == before
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == [str(out / "model.onnx")]
    assert SpottingDecision.from_json(report["decision"]) == decision()


def test_a_run_is_exported_with_its_decision(told: Path, tmp_path: Path) -> None:
    contract = write_run(tmp_path / "run")
    assert main([str(tmp_path / "run"), "--decision", str(told), "--out", str(tmp_path / "out")]) == 0
    assert load_model(tmp_path / "out" / "model.onnx").contract == dataclasses.replace(contract, decision=decision())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a decision in JSON"),
        ("[]", "expected a decision in JSON"),
        ("{}", "decision fields"),
        (json.dumps(dataclasses.asdict(decision()) | {"bias": "x"}), "decision.bias"),
        (json.dumps(dataclasses.asdict(SpottingDecision(("one",), 0.0, ()))), "decision.features"),
    ],
)
def test_other_files_are_no_decision(
    pair: Path, told: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told.write_text(text)
    before = pair.read_bytes()
    assert main([str(pair), "--decision", str(told), "--out", str(pair.parent)]) == 1
    said = capsys.readouterr().err.strip()
    assert says in said and str(told) in said and len(said.splitlines()) == 1
    assert pair.read_bytes() == before


def test_a_pair_that_does_not_belong_together_stays_as_it_is(
    pair: Path, told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(pair), "--decision", str(told), "--out", str(pair.parent)]
    other = dataclasses.replace(load_model(pair).contract, training_data="something else")
    for name, change in (
        ("model.stream.onnx: expected the contract of model.onnx", lambda p: save_tiny_model(p, other)),
        ("an ONNX model, but none of Microlive's", lambda p: save_tiny_model(p, metadata={"x": "y"})),
        ("cannot be read as ONNX", lambda p: p.write_bytes(b"\x08\xff\x00rubbish")),
    ):
        change(pair.with_name("model.stream.onnx"))
        before = pair.read_bytes()
        assert main(argv) == 1
        assert name in " ".join(capsys.readouterr().err.split()) and pair.read_bytes() == before


def test_paths_and_options_that_do_not_fit_are_usage_errors(
    pair: Path, told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(told, pair.with_name("model.stream.onnx"))
    for argv, says in (
        ([str(pair)], "expected --decision or --spotting"),
        ([str(pair), "--decision", str(told), "--fp16"], "--fp16 goes with a run"),
        ([str(pair.with_name("none.onnx")), "--decision", str(told)], "expected an exported model, found none"),
        ([str(pair), "--decision", str(pair.with_name("model.stream.onnx"))], "--out would write over what --decision"),
        ([str(pair), "--spotting", str(pair)], "--out would write over what --spotting reads"),
    ):
        assert main([*argv, "--out", str(pair.parent)]) == 2
        assert says in " ".join(capsys.readouterr().err.split())
    assert main([str(pair), "--decision", str(told), "--out", str(pair)]) == 2
    assert "expected a folder, found a file" in " ".join(capsys.readouterr().err.split())

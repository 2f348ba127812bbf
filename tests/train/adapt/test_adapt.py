"""A model goes on learning from few clips: the network before, the folds, what is written, and what cannot be."""

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from export.__main__ import main as export
from model.contract import ClipContract
from model.network import load_network
from stream.engine.model_file import BUNDLED_MODEL
from tests.helpers.paths import ROOT
from tests.helpers.runs import write_run
from tests.helpers.stores import CLASSES, write_store
from train.__main__ import main
from train.adapt.adapt import AdaptSettings, adapt
from train.adapt.adapt_job import HEAD, AdaptRecipe
from train.adapt.exported_network import TOLERANCE, network_of
from train.errors import UsageError
from train.scores.evaluate import OnnxPredictor

PEOPLE = ("ann", "bob", "cid", "dot")
NAMES = (*CLASSES, "neutral")
SETTINGS = {"class_weights": "balanced", "learning_rate": 0.01, "workers": 1, "batch": 4, "validation_share": 0.3}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that knows nothing, and a store of four people whom it has not seen."""
    folder = tmp_path_factory.mktemp("adapt")
    write_run(folder / "base", class_names=NAMES)
    write_store(folder / "store", PEOPLE, NAMES)
    return folder


def settings(data: Path, out: Path, recipe: AdaptRecipe | None = None, **changes: object) -> AdaptSettings:
    recipe = recipe or AdaptRecipe(3, 1, 1e-3)
    return AdaptSettings((str(data / "store"),), str(out), str(data / "base"), recipe, SETTINGS | changes)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A run that was not interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, adapt(settings(data, out), Console(file=io.StringIO()), 1, command="python -m train adapt")


# The network before


def randomised(run: Path) -> None:
    """Biases too: equal constants become one in an exported model."""
    network, rng = load_network(run / "model.keras"), np.random.default_rng(5)
    network.set_weights([rng.normal(0, 0.1, w.shape) for w in network.get_weights()])
    network.save(run / "model.keras")


@pytest.mark.parametrize(("variant", "units"), [("paper", True), ("cbam", False), ("plain", False)])
def test_an_exported_model_becomes_the_network_that_it_was(tmp_path: Path, variant: str, units: bool) -> None:
    write_run(tmp_path / "run", variant=variant, action_units=units)
    randomised(tmp_path / "run")
    assert export([str(tmp_path / "run"), "--out", str(tmp_path / "exported")]) == 0
    found, wanted = network_of(tmp_path / "exported" / "model.onnx"), load_network(tmp_path / "run" / "model.keras")
    assert [w.path for w in found.weights] == [w.path for w in wanted.weights]
    for one, other in zip(found.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_bundled_model_becomes_a_network_that_answers_like_it() -> None:
    network, predictor = network_of(BUNDLED_MODEL), OnnxPredictor(BUNDLED_MODEL)
    clips = np.random.default_rng(9).normal(0, 0.4, (3, *predictor.contract.input_shape)).astype(np.float32)
    told: dict = network(clips, training=False)
    for name, wanted in zip(("probabilities", "action_units"), predictor.predict_units(clips), strict=True):
        assert np.abs(np.asarray(told[name]) - wanted).max() <= TOLERANCE


def test_a_model_whose_weights_cannot_be_told_is_refused(tmp_path: Path) -> None:
    import onnx

    write_run(tmp_path / "run")
    randomised(tmp_path / "run")
    assert export([str(tmp_path / "run"), "--out", str(tmp_path)]) == 0
    model = onnx.load(str(tmp_path / "model.onnx"))
    for one in model.graph.initializer:
        if "trunk" in one.name:
            for node in model.graph.node:
                node.input[:] = ["other" if name == one.name else name for name in node.input]
            one.name = "other"
            break
    onnx.save(model, str(tmp_path / "model.onnx"))
    with pytest.raises(UsageError, match=r"a weight is missing in its graph.*give the run"):
        network_of(tmp_path / "model.onnx")


# The run


def test_everybody_is_left_out_once_and_before_stands_beside_after(finished: tuple[Path, dict]) -> None:
    out, metrics = finished
    folds = [json.loads(line) for line in (out / "folds" / "folds.jsonl").read_text().splitlines()]
    assert sorted(fold["fold"] for fold in folds) == [f"fake/{name}" for name in PEOPLE]
    for fold in folds:
        assert len(fold["validation_people"]) == 1 and fold["fold"] not in fold["validation_people"]
        assert (fold["train_n"], fold["test_n"]) == (16, 8) and 0 <= fold["epoch"] <= 4
        assert [epoch["epoch"] for epoch in fold["epochs"]] == [1, 2, 3, 4]
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert metrics["n"] == metrics["before"]["n"] == 32 and metrics["finding"] == "too few"
    assert metrics["fold_epochs"] == [fold["epoch"] for fold in sorted(folds, key=lambda fold: fold["fold"])]
    assert metrics["head_epochs"] + metrics["all_epochs"] == int(np.median(metrics["fold_epochs"])) > 0


def test_before_is_what_the_base_answers(data: Path, finished: tuple[Path, dict]) -> None:
    from train.clips.store import ClipStore
    from train.scores.evaluate import evaluate, open_model

    found = evaluate(open_model(data / "base"), ClipStore.open(data / "store"))
    lines = [json.loads(line) for line in (finished[0] / "before.jsonl").read_text().splitlines()]
    kept = {line["id"]: list(line["probabilities"].values()) for line in lines}
    wanted = dict(zip(found.ids, found.probabilities.tolist(), strict=True))
    assert kept.keys() == wanted.keys()
    for name, values in kept.items():  # features are kept as half floats
        assert values == pytest.approx(wanted[name], abs=2e-3)


def test_what_is_written_is_exported_and_says_what_it_was_made_of(
    data: Path, finished: tuple[Path, dict], tmp_path: Path
) -> None:
    out, metrics = finished
    contract = ClipContract.from_json((out / "contract.json").read_text())
    base = ClipContract.from_json((data / "base" / "contract.json").read_text())
    assert contract.training_data.startswith("nothing, for tests. Adapted on 20")
    for words in (
        "from base (SHA-256 ",
        "32 clips of 4 people from fake",
        "8 negative",
        "8 neutral",
        "epochs of the head",
    ):
        assert words in contract.training_data
    assert contract.input == base.input and contract.calibration is None
    assert (contract.scores["uf1"], contract.scores["before"]["uf1"]) == (metrics["uf1"], metrics["before"]["uf1"])
    told = json.loads((out / "data.json").read_text())
    assert told["train"]["people"] == [f"fake/{name}" for name in PEOPLE] and told["train"]["clips"] == 32
    assert export([str(out), "--out", str(tmp_path / "exported")]) == 0
    parity = json.loads((tmp_path / "exported" / "parity.json").read_text())
    assert parity["clips"]["real"] == 8


def weights(path: Path) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in load_network(path).layers if layer.weights}


def test_with_the_head_alone_the_rest_stays_as_it_is(data: Path, tmp_path: Path) -> None:
    metrics = adapt(settings(data, tmp_path / "run", AdaptRecipe(3, 0)), Console(file=io.StringIO()), 1)
    assert metrics["head_epochs"] > 0 == metrics["all_epochs"]
    before, after = weights(data / "base" / "model.keras"), weights(tmp_path / "run" / "model.keras")
    changed = {
        name for name in before if any(not np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True))
    }
    assert changed == set(HEAD)


def killed_after_first_fold(asked: AdaptSettings) -> None:
    code = (
        "import io, json, os, signal, sys\n"
        "from rich.console import Console\n"
        "import train.adapt.adapt as chapter\n"
        "from train.adapt.adapt_job import AdaptRecipe\n"
        "class Killed(chapter.FoldProgress):\n"
        "    def finished(self, result):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "chapter.FoldProgress = Killed\n"
        "if __name__ == '__main__':\n"
        "    data, out, base, recipe, training = json.loads(sys.argv[1])\n"
        "    asked = chapter.AdaptSettings(tuple(data), out, base, AdaptRecipe(*recipe), training)\n"
        "    chapter.adapt(asked, Console(file=io.StringIO()), 1)\n"
    )
    recipe = asked.recipe
    told = [asked.data, asked.out, asked.base, [recipe.head_epochs, recipe.all_epochs, recipe.all_learning_rate]]
    process = subprocess.run(
        [sys.executable, "-c", code, json.dumps([*told, dict(asked.training)])],
        capture_output=True, timeout=300, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL, process.stderr


def test_killed_and_gone_on_with_is_the_same_as_not_interrupted(
    data: Path, finished: tuple[Path, dict], tmp_path: Path
) -> None:
    whole, metrics = finished
    asked = settings(data, tmp_path / "run")
    killed_after_first_fold(asked)
    folds = tmp_path / "run" / "folds" / "folds.jsonl"
    (first,) = folds.read_text().splitlines()
    again = adapt(asked, Console(file=io.StringIO()), 1, command="python -m train adapt")
    assert folds.read_text().splitlines()[0] == first and len(folds.read_text().splitlines()) == 4
    assert again == metrics
    for name in ("before.jsonl", "folds/predictions.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()
    one, other = weights(whole / "model.keras"), weights(tmp_path / "run" / "model.keras")
    assert all(np.array_equal(a, b) for name in one for a, b in zip(one[name], other[name], strict=True))
    with pytest.raises(UsageError, match="holds a finished run"):
        adapt(asked, Console(file=io.StringIO()), 1)
    with pytest.raises(UsageError, match=r"holds a finished run|other settings"):
        adapt(replace(asked, recipe=AdaptRecipe(2, 1)), Console(file=io.StringIO()), 1)


def test_where_nothing_is_better_than_before_no_model_is_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps so large that every network after them answers by chance at best, and loudly."""
    argv = ["adapt", "--data", str(data / "store"), "--from", str(data / "base"), "--out", str(tmp_path / "run")]
    argv += ["--head-epochs", "2", "--all-epochs", "0", "--learning-rate", "30", "--jobs", "1", "--workers", "1"]
    assert main(argv) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Too few to say whether it is better or worse: 4 people, fewer than 5; 8 clips of negative" in said
    assert "In the folds the model was best as it was: no other is written" in said
    assert not (tmp_path / "run" / "model.keras").exists()
    assert export([str(tmp_path / "run"), "--out", str(tmp_path / "exported")]) == 2


# What cannot be


def test_what_does_not_fit_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*argv: str) -> str:
        assert main(["adapt", "--out", str(tmp_path / "run"), *argv]) == 2
        said = capsys.readouterr().err
        assert not (tmp_path / "run").exists() and said.count("\n") <= 2
        return " ".join(said.split())

    base, store = ("--from", str(data / "base")), ("--data", str(data / "store"))
    assert "expected bundled, a finished run or an exported model.onnx" in refused(*store, "--from", "nowhere")
    assert "crop: the model expects" in refused(*store, "--from", "bundled")
    three = write_store(tmp_path / "three", class_names=CLASSES)
    assert "classes: the model expects" in refused("--data", str(three.path), *base)
    two = write_store(tmp_path / "two", ("ann", "bob"), NAMES)
    assert "expected 3 people" in refused("--data", str(two.path), *base)
    assert "--head-epochs and --all-epochs" in refused(*store, *base, "--head-epochs", "0", "--all-epochs", "0")
    (data / "base" / "data.json").write_text(
        json.dumps({"train": {"people": ["fake/ann"]}, "validation": {"people": []}})
    )
    try:
        said = refused(*store, *base)
    finally:
        (data / "base" / "data.json").unlink()
    assert "it has seen people of this data (fake/ann)" in said

"""The folder of a leave-one-subject-out run: what is kept, what is dropped, what is refused."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.clips.samples import Samples
from train.config_file import config_from
from train.errors import TrainError, UsageError
from train.fit.resume import EpochResult
from train.loso.fold_job import FoldResult
from train.loso.loso import LosoSettings
from train.loso.run_folder import LosoDir

CLASSES = ("negative", "positive", "surprise")
PEOPLE = ("d/ann", "d/bob", "d/ann", "d/cid\u2028")  # a line separator that JSON does not escape
SAMPLES = Samples(CLASSES, ("a1", "b1", "a2", "c1"), PEOPLE, np.array([0, 1, 2, 1]), (None,) * 4, "d", 128)
LINES = [{"id": name, "person": person} for name, person in zip(SAMPLES.ids, PEOPLE, strict=True)]
IDS = {(0, "d/ann"): ["a1", "a2"], (0, "d/bob"): ["b1"], (0, "d/cid\u2028"): ["c1"]}


def head(**changes: object) -> dict:
    config = config_from({"data": "store", "out": "run", "epochs": 2} | changes)
    return LosoSettings(config).to_dict() | {"features": ["0123"], "command": "python -m train loso"}


def result(person: str, rows: Sequence[int], seed: int = 0) -> FoldResult:
    probabilities = np.random.default_rng(7).dirichlet((1, 1, 1), len(rows)).astype(np.float32)
    epochs = tuple(EpochResult(e, 1.5 / e, 1e-3, None, None, None, None, True, 1.0, 9.0) for e in (1, 2))
    answers = np.array([[0] * len(rows), probabilities.argmax(axis=1)])
    return FoldResult(seed, person, 3, (), np.array(rows), probabilities, 2, epochs, answers, 1.25, 9.0)


def begun(path: Path) -> LosoDir:
    run = LosoDir(path)
    run.begin(head(), LINES, overwrite=False)
    return run


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def test_a_fold_is_written_with_all_bits_of_its_answers(tmp_path):
    run, fold = begun(tmp_path / "run"), result("d/ann", [0, 2])
    run.append(fold, SAMPLES)
    lines = read(run.predictions)
    assert [line["id"] for line in lines] == ["a1", "a2"]
    assert [line["label"] for line in lines] == ["negative", "surprise"]
    found = np.array([[line["probabilities"][name] for name in CLASSES] for line in lines], np.float32)
    np.testing.assert_array_equal(found, fold.probabilities)
    assert [line["answer"] for line in lines] == [CLASSES[i] for i in fold.probabilities.argmax(axis=1)]
    (line,) = read(run.folds)
    assert line["test_epochs"] == {"ids": ["a1", "a2"], "answers": fold.test_answers.tolist()}  # type: ignore[union-attr]
    assert line["epochs"][0] == {"epoch": 1, "loss": 1.5, "val_loss": None, "val_uf1": None}
    assert (line["seed"], line["fold"], line["train_n"], line["test_n"], line["epoch"]) == (0, "d/ann", 3, 2, 2)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_a_kill_left_is_dropped_and_whole_folds_are_kept(tmp_path_factory, data):
    """The files are cut anywhere, as if the kill came there; predictions are always written before the fold's line."""
    run = begun(tmp_path_factory.mktemp("cut") / "run")
    run.append(result("d/ann", [0, 2]), SAMPLES)
    whole = run.predictions.read_bytes(), run.folds.read_bytes()
    run.append(result("d/cid\u2028", [3]), SAMPLES)
    later = run.predictions.read_bytes(), run.folds.read_bytes()
    cut = data.draw(st.integers(len(whole[0]), len(later[0])))
    run.predictions.write_bytes(later[0][:cut])
    cut_folds = data.draw(st.integers(len(whole[1]), len(later[1]))) if cut == len(later[0]) else len(whole[1])
    run.folds.write_bytes(later[1][:cut_folds])
    done = run.recover(IDS)
    if cut_folds >= len(later[1]) - 1:  # a line is whole without its line break
        assert done == {(0, "d/ann"), (0, "d/cid\u2028")}
        expected = later
    else:
        assert done == {(0, "d/ann")}
        expected = whole
    assert (run.predictions.read_bytes(), run.folds.read_bytes()) == expected
    run.append(result("d/bob", [1]), SAMPLES)
    assert run.recover(IDS) == done | {(0, "d/bob")}


def test_a_fold_without_all_its_predictions_or_of_another_run_is_not_done(tmp_path):
    run = begun(tmp_path / "run")
    for person, rows in (("d/ann", [0, 2]), ("d/bob", [1]), ("d/dot", [3])):
        run.append(result(person, rows), SAMPLES)
    text = run.predictions.read_text()
    run.predictions.write_text("".join(line + "\n" for line in text.split("\n")[1:-1]) + "[1]\nnoise\n")
    assert run.recover(IDS) == {(0, "d/bob")}
    assert [line["fold"] for line in read(run.predictions)] == ["d/bob"]
    assert [line["fold"] for line in read(run.folds)] == ["d/bob"]
    assert sorted(p.name for p in run.path.iterdir()) == [
        "folds.jsonl",
        "loso.json",
        "predictions.jsonl",
        "samples.jsonl",
    ]


def test_other_settings_are_refused_by_name_and_speed_is_none_of_them(tmp_path):
    run = begun(tmp_path / "run")
    assert run.begin(head(workers=3, cache_dir="x") | {"command": "other"}, LINES, overwrite=False)
    with pytest.raises(UsageError, match=r"other settings \(epochs was 2, is now 5\).*--overwrite"):
        run.begin(head(epochs=5), LINES, overwrite=False)
    with pytest.raises(UsageError, match=r"scheme was 'cde', is now 'sde'; threads was 1, is now 2"):
        run.begin(head() | {"scheme": "sde", "threads": 2}, LINES, overwrite=False)
    with pytest.raises(UsageError, match="the clips, or how they are prepared, changed"):
        run.begin(head() | {"features": ["4567"]}, LINES, overwrite=False)
    with pytest.raises(UsageError, match="the clips changed since this run began"):
        run.begin(head(), LINES[:-1], overwrite=False)
    run.settings.write_text("[]")
    with pytest.raises(UsageError, match="expected a run's settings"):
        run.begin(head(), LINES, overwrite=False)


def test_finished_runs_and_foreign_folders_are_refused(tmp_path):
    run = begun(tmp_path / "run")
    run.append(result("d/bob", [1]), SAMPLES)
    run.scores.write_text("{}")
    with pytest.raises(UsageError, match=r"holds a finished run.*--overwrite"):
        run.begin(head(), LINES, overwrite=False)
    assert not run.begin(head(epochs=5), LINES, overwrite=True)
    assert run.recover(IDS) == set()
    assert not run.scores.exists()
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".123.loso.json").write_text("{")  # as a kill leaves it while the file is written
    assert not LosoDir(tmp_path / "killed").begin(head(), LINES, overwrite=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="found other files"):
        LosoDir(tmp_path).begin(head(), LINES, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_full_disk_is_said_and_costs_nothing_that_was_done(tmp_path):
    run = begun(tmp_path / "run")
    run.append(result("d/ann", [0, 2]), SAMPLES)
    kept = run.folds.read_bytes()
    run.folds.rename(tmp_path / "folds")
    run.folds.symlink_to("/dev/full")
    with pytest.raises(TrainError, match=r"folds.jsonl: cannot be written \(No space left on device\).*same command"):
        run.append(result("d/bob", [1]), SAMPLES)
    run.folds.unlink()
    (tmp_path / "folds").rename(run.folds)
    assert run.recover(IDS) == {(0, "d/ann")}
    assert run.folds.read_bytes() == kept
    assert len(read(run.predictions)) == 2

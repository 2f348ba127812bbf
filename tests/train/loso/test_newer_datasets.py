"""The newer sets from their trees to scores: prepared each on its own, and left out together whatever the dataset."""

import json
from pathlib import Path

import pytest

from tests.helpers.clip_dataset_trees import casme_tree, dfme_tree, mmew_tree, smic_e_tree
from train.__main__ import main
from train.clips.store import ClipStore
from train.datasets.class_maps import ClassMap
from train.datasets.registry import read_dataset

PREPARED = ("--frames", "9", "--lead-frames", "2", "--jobs", "1")
NETWORK = (
    "--variant",
    "plain",
    "--input",
    "difference",
    "--size-px",
    "32",
    "--epochs",
    "1",
    "--seeds",
    "1",
    "--jobs",
    "1",
)


def prepare(name: str, root: Path, out: Path, *flags: str) -> ClipStore:
    assert main(["prepare", "--dataset", name, "--root", str(root), "--out", str(out), *PREPARED, *flags]) == 0
    return ClipStore.open(out)


def test_a_clip_of_a_long_take_is_prepared_at_its_own_rate_and_says_its_classes(tmp_path: Path) -> None:
    smic_e_tree(tmp_path / "data", "vis", faces=True)
    store = prepare("smic-e", tmp_path / "data", tmp_path / "store", "--layout", "vis")
    assert [(record.id, record.label) for record in store.records] == [
        ("smic-e/s07/s07_ne_01", "negative"),
        ("smic-e/s07/s07_po_02", "positive"),
    ]
    told = [(r.notes["source"]["onset"], r.notes["source"]["offset"], r.notes["duration_ms"]) for r in store.records]
    assert told == [(14310, 14318, 320.0), (505, 513, 320.0)]
    assert [record.notes["source"]["pictures"] for record in store.records] == [9, 9]
    chosen = store.manifest.settings["class_map"]
    assert {name: chosen[name] for name in ClassMap().to_dict()} == ClassMap().to_dict()
    assert chosen["in_words"].startswith("3 classes: negative, positive, surprise; ")


@pytest.mark.long
@pytest.mark.slow
def test_three_of_them_are_left_out_together_and_the_report_says_the_classes(tmp_path: Path, capsys) -> None:
    stores = []
    parts = (
        ("mmew", mmew_tree, "S71,S72"),
        ("dfme", dfme_tree, "sub0071,sub0072"),
        ("casme", casme_tree, "sub07,sub12"),
    )
    for name, tree, people in parts:
        root = tree(tmp_path / f"{name}-data", faces=True).root
        store = prepare(name, root, tmp_path / name, "--people", people)
        labelled = [clip.id for clip in read_dataset(name, [root]).labelled() if clip.subject in people.split(",")]
        assert [record.id for record in store.records] == labelled
        stores.append(str(store.path))
    out = tmp_path / "run"
    assert main(["loso", "--data", *stores, "--scheme", "cde", "--out", str(out), *NETWORK]) == 0
    told = capsys.readouterr().out
    scores = json.loads((out / "scores.json").read_text())
    words = ClassMap().in_words()
    assert scores["class_map"] == dict.fromkeys(("mmew", "dfme", "casme"), words)
    assert {name: part["n"] for name, part in scores["parts"].items()} == {
        "composite": 10,
        "mmew": 3,
        "dfme": 3,
        "casme": 4,
    }
    assert scores["parts"]["composite"]["people"] == 6
    assert "mmew: 3 classes: negative" in told
    assert main(["report", str(out), "--open", "no"]) == 0
    assert "3 classes: negative (anger, contempt" in (out / "report" / "report.html").read_text()
    prepare("dfme", tmp_path / "dfme-data", tmp_path / "other", "--contempt", "left-out", "--people", "sub0072")
    stores[1] = str(tmp_path / "other")
    capsys.readouterr()
    assert main(["loso", "--data", *stores, "--out", str(tmp_path / "none"), *NETWORK]) == 2
    refused = capsys.readouterr().err.strip().splitlines()
    assert len(refused) == 1 and "class map: expected --label-map 3, --contempt negative" in refused[0]

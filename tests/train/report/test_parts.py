"""What a report is put together from: curves, mistakes, people, pictures, and the published tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.variants import VARIANTS
from tests.helpers.composite_counts import CASME2, SAMM, SMIC
from tests.helpers.loso_folders import counted, read_lines, write_lines, write_loso_run
from tests.helpers.loso_runs import write_loso
from tests.helpers.stores import CLASSES, write_store
from train.charts import blended, readable_on
from train.clips.store import ClipStore
from train.fit_config import TrainConfig
from train.loso.predictions import read_run
from train.report.figures import PictureBook, count_text, shortened
from train.report.mistakes import mistakes_of, show_mistakes
from train.report.runs import curves_of, loss_in_words, open_run
from train.report.text import facts, not_comparable, part_title, people_of
from train.scores.literature import PART_TITLES, PUBLISHED

PEOPLE = {"fake/ann": [0, 0, 1], "fake/bob": [2], "fake/cid": [1, 1]}


def wrong_for_bob(seed: int, sample: str, label: int) -> int:
    """Bob always, cid's first clip with seed 1 alone."""
    return (label + 1) % 3 if "bob" in sample or (seed == 1 and sample == "fake/cid/c0") else label


def test_curves_are_means_over_folds_and_seeds(tmp_path):
    run = tmp_path / "run"
    write_loso_run(run, PEOPLE, wrong_for_bob, seeds=(0, 1), epochs=3)
    folds = read_lines(run / "folds.jsonl")
    for number, fold in enumerate(folds):
        fold["epochs"] = [{"epoch": e, "loss": 10 * e + number**2, "val_loss": None} for e in (1, 2, 3)]
    folds[0]["epochs"][1]["val_loss"] = 0.5
    folds[1]["epochs"][1]["val_loss"] = float("nan")
    write_lines(run / "folds.jsonl", folds)
    curves = curves_of(read_run(run))
    assert curves.training is not None and curves.training.folds == 6
    np.testing.assert_array_equal(curves.training.epochs, [1, 2, 3])
    np.testing.assert_allclose(curves.training.mean, [10 + 55 / 6, 20 + 55 / 6, 30 + 55 / 6])
    np.testing.assert_allclose(curves.training.low, [10.5, 20.5, 30.5])
    np.testing.assert_allclose(curves.training.high, [30.5, 40.5, 50.5])
    assert curves.validation is not None and curves.validation.epochs.tolist() == [2]
    assert curves.validation.mean.tolist() == [0.5]
    assert curves.validation_uf1 is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "weighted cross-entropy (0.3/0.35/0.35)"),
        ({"variant": "plain"}, "plain cross-entropy"),
        ({"class_weights": "none"}, "plain cross-entropy"),
        ({"class_weights": (1.0, 2.0, 3.0)}, "weighted cross-entropy (1/2/3)"),
        ({"class_weights": "balanced"}, "weighted cross-entropy (0.589/1.35/1.78)"),
    ],
)
def test_the_loss_in_words(settings, words):
    config = TrainConfig(("d",), "o", **settings).to_dict()
    assert loss_in_words(config, CLASSES, (250, 109, 83)) == words


def test_settings_of_another_version_still_say_something():
    assert loss_in_words({"class_weights": "new"}, CLASSES, (1, 1, 1)) == "cross-entropy, class weights new"


def test_mistakes_come_by_their_confidence_once_each(tmp_path):
    run = tmp_path / "run"
    write_loso_run(run, PEOPLE, wrong_for_bob, seeds=(0, 1))
    told = read_lines(run / "predictions.jsonl")
    for line in told:
        if line["id"] == "fake/cid/c0" and line["seed"] == 1:
            line["probabilities"] = {"negative": 0.05, "positive": 0.05, "surprise": 0.9}
    write_lines(run / "predictions.jsonl", told)
    first, second = mistakes_of(read_run(run))
    assert (first.id, first.truth, first.answer, first.probability) == ("fake/cid/c0", "positive", "surprise", 0.9)
    assert (first.wrong_seeds, first.seeds) == (1, 2)
    assert (second.id, second.person, second.wrong_seeds, second.probability) == ("fake/bob/c0", "fake/bob", 2, 0.5)


def test_the_pictures_are_of_onset_apex_and_offset(tmp_path):
    store = write_store(tmp_path / "store", ("ann",))
    frames = {"onset_frame": 4, "apex_frame": 6, "offset_frame": 9}
    path = store.path / "clips.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    write_lines(path, [records[0] | frames, *records[1:]])
    store = ClipStore.open(store.path)
    run = write_loso(tmp_path / "run", [store], skill=-9.0)
    sheet = tmp_path / "sheet.png"
    shown, problems = show_mistakes(mistakes_of(read_run(run)), sheet)
    assert problems == () and sheet.is_file() and len(shown) == 6
    assert {one.mistake.row: one.moments for one in shown} == {
        0: "onset, apex, offset",
        **dict.fromkeys(range(1, 6), "first frame, middle, last frame"),
    }
    assert all(one.strip.startswith("data:image/jpeg;base64,") and one.width_px > one.height_px for one in shown)


def test_people_are_sorted_by_their_share_and_small_folds_counted(tmp_path):
    run = tmp_path / "run"
    write_loso_run(run, PEOPLE, wrong_for_bob, seeds=(0, 1))
    (group,) = people_of(read_run(run))
    assert [(p.name, p.correct, p.n) for p in group.people] == [("ann", 3.0, 3), ("cid", 1.5, 2), ("bob", 0.0, 1)]
    assert (group.one_clip, group.one_class) == (1, 2)


def test_the_facts_of_a_run(tmp_path):
    store = write_store(tmp_path / "store", ("ann", "bob"))
    settings = {"rotate": 5.0, "magnify": (0.5, 2.0), "time_jitter": 0.1, "variant": "cbam", "batch": 4}
    settings |= {"flow_noise": 0.4, "average": 0.999}
    write_loso(tmp_path / "run", [store], seeds=(3, 4), select="fixed", settings=settings)
    told = dict(facts(open_run(tmp_path / "run")))
    assert told["Data"] == "12 clips of 2 people: fake 12 (2 people)"
    assert told["Classes"] == "negative 4, positive 4, surprise 4"
    assert told["Epoch"] == "the last of 5, fixed in advance"
    assert (told["Seeds"], told["Folds"]) == ("3, 4", "4 of 4 done")
    assert told["Augmentation"] == "flip, rotate 5, time jitter 0.1, magnify 0.5–2, flow noise 0.4"
    assert told["Network"].startswith("cbam") and told["Adam"].endswith("averaged by 0.999 a step, batch 4")
    assert told["Training time"] == "50 s, 20.0 clips/s" and told["Started from"] == "random weights"
    write_loso(tmp_path / "plain", [store], settings={"flip": False})
    told = dict(facts(open_run(tmp_path / "plain")))
    assert told["Augmentation"] == "none" and "median 5 of 5" in told["Epoch"]


def test_only_the_clips_of_the_challenge_compare_with_published_scores(tmp_path):
    composite = counted("smic", SMIC) | counted("casme2", CASME2) | counted("samm", SAMM)
    cases = {
        "whole": (composite, None),
        "fewer": (counted("smic", SMIC[1:]), "Not the clips of MEGC2019 (SMIC 158 for 164)"),
        "synthetic": ({f"synthetic/{p.split('/')[1]}": c for p, c in counted("smic", SMIC).items()}, "Synthetic clips"),
        "own": ({"lab/a": [0, 1, 2], "smic/s01": [0]}, "Clips of lab are not MEGC2019 data"),
    }
    for name, (people, expected) in cases.items():
        write_loso_run(tmp_path / name, people, wrong_for_bob)
        found = not_comparable(read_run(tmp_path / name))
        assert found is None if expected is None else expected in str(found)


def test_the_published_tables_are_whole():
    for row in PUBLISHED:
        assert row.scores and set(row.scores) <= set(PART_TITLES) and row.source
        assert all(0 < score.uf1 < 1 and (score.uar is None or 0 < score.uar < 1) for score in row.scores.values())
    assert len({row.method for row in PUBLISHED}) == len(PUBLISHED)
    (ours,) = (row for row in PUBLISHED if row.same_network)
    smic, whole = ours.scores["smic"], VARIANTS["paper"]
    assert (smic.uf1, smic.uar) == (whole.published_uf1, whole.published_uar)
    assert [row.year for row in PUBLISHED] == sorted(row.year for row in PUBLISHED)


def test_picture_files_have_plain_names_and_none_twice(tmp_path):
    book = PictureBook(tmp_path)
    names = [book.path(name).name for name in ("../a b", "a/b", "A-B", "日本", "")]
    assert names == ["a-b.png", "a-b-2.png", "a-b-3.png", "picture.png", "picture-2.png"]
    assert {path.parent for path in book.files} == {Path(tmp_path)}


def test_small_helpers():
    assert [count_text(x) for x in (3.0, 2.9999, 3.5, 0.0)] == ["3", "3", "3.5", "0"]
    assert shortened("short\nname", 20) == "short name"
    assert len(shortened("x" * 99, 18)) == 18 and "…" in shortened("x" * 99, 18)
    assert readable_on((1.0, 1.0, 1.0)) == "black" and readable_on((0.0, 0.0, 0.4)) == "white"
    assert blended("#ffffff", "#000000", 0.25) == (0.25, 0.25, 0.25)
    assert part_title("casme2") == "CASME II" and part_title("mine") == "mine"

"""Scores over several models: bands of peak motion by hand, chance, static probes that can fail, and the tables."""

import json

import numpy as np
import pytest

from model.contract import CropGeometry
from tests.helpers.assessed_models import NAMES, answered
from train.assessment.condition_scores import (
    balanced,
    by_band,
    by_group,
    chance_range,
    model_probe,
    picture_probe,
    spread,
    whole,
)
from train.assessment.condition_tables import sheets
from train.clips.store import ClipRecord, ClipStore, StoreManifest
from train.scores.metrics import chance, summary
from train.text_table import TextTable, spread_text


def test_the_whole_is_each_models_own_scores() -> None:
    labels = [0, 0, 1, 1, 2, 2, 3, 3]
    first, second = [0, 1, 1, 1, 2, 2, 3, 0], [0, 0, 1, 1, 2, 3, 3, 3]
    found = whole(answered(labels, [1.0] * 6 + [0.0] * 2, first, second))
    expected = [summary(labels, guesses, NAMES) for guesses in (first, second)]
    for name in ("uf1", "uar", "accuracy"):
        assert found[name]["values"] == pytest.approx([e[name] for e in expected])
        assert found[name]["mean"] == pytest.approx(np.mean([e[name] for e in expected]))
    assert found["confusions"] == [e["confusion"] for e in expected]
    assert found["per_class"]["negative"]["recall"]["values"] == [0.5, 1.0]
    assert found["n"] == 8


def test_spread_is_the_sample_standard_deviation_and_none_for_one() -> None:
    assert spread([1.0, 2.0, 3.0]) == {"mean": 2.0, "sd": pytest.approx(1.0), "values": [1.0, 2.0, 3.0]}
    assert spread([0.5])["sd"] is None


def test_a_band_by_hand() -> None:
    # Below 1.2 px one clip of each class, one of them missed; above it one of each, all right; six neutral, two wrong.
    labels = [0, 1, 2, 0, 1, 2, *[3] * 6]
    peaks = [1.0, 1.0, 1.0, 2.5, 2.5, 2.5, *[0.0] * 6]
    guesses = [0, 1, 3, 0, 1, 2, 3, 3, 3, 3, 0, 0]
    bands = by_band(answered(labels, peaks, guesses))
    low = bands["< 1.2 px"]
    assert (low["n"], low["n_neutral"]) == (3, 6)
    # The six neutral clips weigh 1/6 each: 2/3 right, 1/3 taken for negative.
    f1 = [2 * 1 / (1 + 4 / 3), 1.0, 0.0, 2 * (2 / 3) / (1 + 2 / 3 + 1)]
    assert low["uf1"]["mean"] == pytest.approx(np.mean(f1))
    assert low["accuracy"]["mean"] == pytest.approx((2 + 2 / 3) / 4)
    assert low["uar"]["mean"] == pytest.approx((1 + 1 + 0 + 2 / 3) / 4)
    assert bands["> 2 px"]["uar"]["mean"] == pytest.approx((3 + 2 / 3) / 4)
    assert "1.2-2 px" not in bands
    assert bands["all"]["n"] == bands["0.8-3 px"]["n"] == 6


def test_bands_share_their_limits_without_counting_twice() -> None:
    labels, peaks = [0, 0, 0, 0], [0.7, 0.8, 1.2, 2.0]
    bands = by_band(answered(labels, peaks, labels))
    assert [bands[name]["n"] for name in ("all", "0.8-3 px", "< 1.2 px", "1.2-2 px", "> 2 px")] == [4, 3, 2, 1, 1]


def test_only_the_neutral_row_is_scaled() -> None:
    confusion = np.diag([4, 6, 0, 40])
    np.testing.assert_allclose(balanced(confusion, NAMES), np.diag([4.0, 6.0, 0.0, 5.0]))
    np.testing.assert_array_equal(balanced(np.diag([4, 6]), ("a", "b")), np.diag([4.0, 6.0]))


def test_chance_is_that_of_the_metrics_within_its_range() -> None:
    found, expected = chance_range([50, 50, 50, 50]), chance([50, 50, 50, 50])
    for name in ("uf1", "uar", "accuracy"):
        assert found[name]["mean"] == pytest.approx(getattr(expected, name))
        assert found[name]["low"] < 0.25 < found[name]["high"]
    few, many = chance_range([5] * 4)["accuracy"], chance_range([500] * 4)["accuracy"]
    assert few["high"] - few["low"] > 5 * (many["high"] - many["low"])


def test_people_are_scored_apart() -> None:
    found = by_group(answered([0, 1, 0, 1], [1.0] * 4, [0, 1, 1, 0]), ["ann", "ann", "bob", "bob"])
    assert found["ann"]["accuracy"]["mean"] == 1.0 and found["bob"]["accuracy"]["mean"] == 0.0
    assert found["ann"]["n"] == 2


@pytest.mark.parametrize(("right", "at_chance"), [(0.25, True), (0.5, False)])
def test_a_model_that_reads_still_frames_is_found_out(right: float, at_chance: bool) -> None:
    labels = np.tile(np.arange(4), 50)
    rng = np.random.default_rng(2)
    guesses = np.where(rng.random(200) < (right - 0.25) / 0.75, labels, rng.permutation(labels))
    found = model_probe(answered(labels.tolist(), [1.0] * 200, guesses.tolist()))
    assert found["at_chance"] is at_chance


@pytest.mark.parametrize(("cue", "at_chance"), [(0.0, True), (40.0, False)])
def test_the_regression_finds_a_static_cue_of_other_people_and_nothing_else(cue: float, at_chance: bool) -> None:
    found = picture_probe(*_pictures(cue))
    assert found is not None
    assert found["at_chance"] is at_chance and found["n"] == 96
    if cue:
        assert found["accuracy"] > 0.8


def test_the_regression_needs_two_people() -> None:
    store, _, names = _pictures(0.0)
    assert picture_probe(store, ["ann"] * len(store), names) is None


def _pictures(cue: float) -> tuple[ClipStore, list[str], tuple[str, ...]]:
    """Clips of 3 people in 4 classes, every person on a background of their own; `cue` brightens a corner by class."""
    rng = np.random.default_rng(5)
    people = [person for person in ("ann", "bob", "cid") for _ in range(32)]
    labels = [index % 4 for index in range(96)]
    backgrounds = {person: rng.uniform(60, 180, (32, 32)) for person in sorted(set(people))}
    clips = np.empty((96, 3, 32, 32, 1), np.uint8)
    for row, (person, label) in enumerate(zip(people, labels, strict=True)):
        frame = backgrounds[person] + rng.normal(0, 6, (32, 32))
        top, left = 16 * (label // 2), 16 * (label % 2)
        frame[top : top + 16, left : left + 16] += cue
        clips[row, ..., 0] = np.clip(frame, 0, 255)
    records = tuple(
        ClipRecord(f"c{row}", person, NAMES[label], "made", apex_frame=2 if label < 3 else None, window_start=1)
        for row, (person, label) in enumerate(zip(people, labels, strict=True))
    )
    manifest = StoreManifest(NAMES, 30.0, CropGeometry(32, 11.0, 10.0), "grey", 3, 1, seed=3)
    return ClipStore(path=None, manifest=manifest, records=records, clips=clips), people, NAMES  # type: ignore[arg-type]


def report(models: int = 2) -> dict:
    labels = [0, 0, 1, 1, 2, 2, 3, 3]
    guesses: list[list[int]] = [[0, 1, 1, 1, 2, 2, 3, 0], [0, 0, 1, 1, 2, 3, 3, 3]][:models]
    found = answered(labels, [1.0, 2.5, 1.0, 2.5, 1.0, 2.5, 0.0, 0.0], *guesses)
    row = {"key": "plain", "group": "plain", "name": "as made", "n": 8, "lost": 1, **whole(found)}
    return {
        "models": ["one", "two"][:models],
        "people": ["ann"],
        "known_people": [],
        "photos": 1,
        "peaks_px": [0.6, 3.0],
        "class_names": list(NAMES),
        "lost": 1,
        "plain": whole(found),
        "by_peak": by_band(found),
        "by_person": by_group(found, ["ann"] * 8),
        "by_difficulty": by_group(found, ["hard"] * 8),
        "conditions": [row, row | {"group": "rate", "name": "15 frames a second"}],
        "still": {"model": model_probe(found), "picture": None, "first": None},
    }


@pytest.mark.parametrize("models", [1, 2])
def test_tables_say_what_the_report_says(models: int) -> None:
    told = json.loads(json.dumps(report(models)))  # as read back from a file
    found = {sheet.title: sheet for sheet in sheets(told)}
    assert found["Held-out people"].rows[0][1] == spread_text(told["plain"]["uf1"])
    assert ("±" in found["Held-out people"].rows[0][1]) == (models == 2)
    assert [row[0] for row in found["By peak motion"].rows] == list(told["by_peak"])
    assert found["By frame rate"].rows[1][0] == "15 frames a second"
    total = np.sum(told["plain"]["confusions"], axis=0)
    assert [list(map(int, row[1:])) for row in found["Confusion"].rows] == total.tolist()
    assert "Filmed in a worse way" not in found


def test_people_whom_the_models_know_are_named() -> None:
    first = sheets(report() | {"known_people": ["ann"]})[0]
    assert "known" in first.title and "calibrated on ann" in first.note


def test_markdown_has_as_many_cells_in_every_line() -> None:
    sheet = TextTable("Title", ("name", "n"), (("a", "1"), ("b", "2")), "A note.")
    assert sheet.markdown() == "| name | n |\n| --- | --: |\n| a | 1 |\n| b | 2 |\n\nA note."


def test_sure_answers_that_are_right_have_no_calibration_error() -> None:
    labels = [0, 1, 2, 3]
    assert whole(answered(labels, [1.0] * 4, labels))["ece"]["mean"] == pytest.approx(0.0)

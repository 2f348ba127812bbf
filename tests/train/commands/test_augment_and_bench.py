"""`train augment` draws what training would see, and `train bench` times it."""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.stores import CLASSES, FRAMES, GEOMETRY, LEAD_FRAMES, write_store
from train.clips.augmentation import draw_transform
from train.clips.samples import run_contract
from train.clips.sheets import choose_clips, example
from train.clips.store import ClipRecord, ClipStore, ClipStoreWriter, StoreManifest
from train.commands import augment as command_augment
from train.commands import bench as command_bench
from train.config_file import config_from
from train.errors import UsageError

SIZE = ("--size-px", "32")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "fake")


def command(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True)
    command_augment.add_parser(subparsers)
    command_bench.add_parser(subparsers)
    args = parser.parse_args(argv, argparse.Namespace(argv=list(argv)))
    return args.run(args)


@pytest.mark.parametrize(("kind", "tiles"), [("flow", 4), ("both", 4), ("difference", 4), ("pixels", 3)])
def test_the_picture_has_a_row_for_every_draw(store, tmp_path, capsys, kind, tiles):
    out = tmp_path / "augmented.png"
    assert command("augment", "--data", str(store.path), "--out", str(out), "--clips", "3", "--input", kind, *SIZE) == 0
    picture = cv2.imread(str(out))
    told = capsys.readouterr()
    assert picture.shape[0] >= 9 * 128
    assert picture.shape[1] >= tiles * 128
    assert told.out.count("mirrored") >= 1
    assert {name for name in CLASSES if name in told.out} == set(CLASSES)
    assert ("--brightness" in told.err) == (kind == "pixels")
    assert [path.name for path in tmp_path.iterdir()] == ["augmented.png"]


def test_flags_and_a_runs_config_are_shown_as_fit_would_draw_them(store, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("data: [elsewhere]\nout: r\nsize_px: 32\nflip: false\nrotate: 7\n")
    base = (
        "augment",
        "--data",
        str(store.path),
        "--out",
        str(tmp_path / "a.png"),
        "--clips",
        "2",
        "--draws",
        "1",
        *SIZE,
    )
    assert command(*base, "--config", str(tmp_path / "run" / "config.yaml"), "--seed", "4") == 0
    told = capsys.readouterr()
    config = config_from({"data": [str(store.path)], "out": "o", "flip": False, "rotate": 7.0, "seed": 4})
    for row in choose_clips(store, 2):
        transform = draw_transform(config, FRAMES - LEAD_FRAMES, 0, row)
        assert transform.in_words() == f"turned {transform.angle_deg:+.1f}°"
        assert transform.in_words() in told.out
    assert "shown with" not in told.err
    assert command(*base, "--no-flip") == 0
    assert capsys.readouterr().out.count("unchanged") == 2


def test_clips_with_sides_come_first_and_their_records_swap(tmp_path):
    manifest = StoreManifest(CLASSES, 30.0, GEOMETRY, "grey", FRAMES, LEAD_FRAMES)
    clip = np.random.default_rng(0).integers(0, 255, manifest.clip_shape).astype(np.uint8)
    with ClipStoreWriter(tmp_path / "sided", manifest) as writer:
        for number, (person, label, units) in enumerate(
            [
                ("a", "positive", ("12",)),
                ("a", "negative", ("4",)),
                ("b", "positive", ("L12", "6")),
                ("a", "positive", ("R12",)),
            ]
        ):
            record = ClipRecord(f"c{number}", person, label, "made", units, 4, 7, 10, 1.0, LEAD_FRAMES)
            writer.add(record, clip)
    store = ClipStore.open(tmp_path / "sided")
    assert choose_clips(store, 4) == [2, 1, 3]
    assert choose_clips(store, 1) == [2]
    config = config_from({"data": [str(store.path)], "out": "o", "size_px": 32})
    shown = example(store, 2, config, run_contract(config, (store,)), draws=12)
    assert {augmented.action_units for _, augmented in shown.draws} == {("L12", "6"), ("R12", "6")}
    for (title, tiles), (words, augmented) in zip(shown.rows[1:], shown.draws, strict=True):
        assert title == f"AU {'+'.join(augmented.action_units)}: {words}"
        assert words == ("mirrored" if augmented.action_units == ("R12", "6") else "unchanged")
        first = cv2.cvtColor(tiles[0], cv2.COLOR_RGB2GRAY)
        expected = clip[LEAD_FRAMES, :, ::-1, 0] if words == "mirrored" else clip[LEAD_FRAMES, ..., 0]
        np.testing.assert_array_equal(first, cv2.resize(expected, (128, 128), interpolation=cv2.INTER_CUBIC))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--out", "a.jpg"), "ending in .png"),
        (("--out", "none/a.png"), "existing folder"),
        (("--out", "a.png", "--clips", "0"), "--clips: expected 1 to 32, found 0"),
        (("--out", "a.png", "--contrast", "0.1"), "contrast with input flow"),
        (("--out", "a.png", "--rotate", "50"), "rotate: expected 45 or less, found 50"),
    ],
)
def test_flags_that_do_not_fit_leave_no_picture(store, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        command("augment", "--data", str(store.path), *flags)
    assert list(tmp_path.iterdir()) == []


def test_the_old_flag_names_the_new_one(capsys):
    with pytest.raises(SystemExit):
        command("augment", "--data", "d", "--out", "a.png", "--gain", "0.2")
    assert "--magnify 0.8 1.2" in capsys.readouterr().err


@pytest.mark.slow
def test_the_benchmark_measures_all_ways(store, tmp_path, capsys, monkeypatch):
    import train.fit.speed

    monkeypatch.setattr(train.fit.speed, "AUGMENTATIONS", {"mirroring": {"flip": True}})
    small = ("--variant", "plain", "--size-px", "32", "--batch", "4", "--rounds", "2", "--steps", "3")
    out = tmp_path / "bench.json"
    assert command("bench", "--data", str(store.path), *small, "--json", str(out)) == 0
    report = json.loads(out.read_text())
    assert (report["batch"], report["rounds"], report["steps"]) == (4, 2, 3)
    assert report["machine"]["cores"] >= 1
    (series,) = report["series"]
    assert series["augmentation"] == "mirroring"
    for way in ("loop", "fit", "step_alone"):
        speed = series[way]
        assert 0 < speed["p95_clips_per_s"] <= speed["clips_per_s"] < 1e5
        assert speed["cpu_ms"] > 0
    assert series["loop_to_fit"] > 0
    assert 0 < series["augment_p50_us"] <= series["augment_p95_us"]
    shown = capsys.readouterr().out
    assert f"{series['fit']['clips_per_s']:.1f}" in shown
    assert "µs a clip" in shown


def test_the_benchmark_needs_enough_clips(store, tmp_path: Path):
    with pytest.raises(UsageError, match="expected 80 clips for 10 steps of 8, found 24"):
        command("bench", "--data", str(store.path), "--size-px", "32")
    with pytest.raises(UsageError, match="existing folder"):
        command("bench", "--data", str(store.path), "--json", str(tmp_path / "none" / "a.json"))

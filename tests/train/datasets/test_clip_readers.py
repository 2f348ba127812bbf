"""The readers of the newer sets of clips on trees in the real layouts with the real quirks planted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.clip_dataset_trees import (
    casme_tree,
    dfme_tree,
    fourdme_tree,
    mmew_tree,
    smic_e_takes,
    smic_e_tree,
)
from tests.helpers.dataset_checks import check, check_defects
from tests.helpers.dataset_trees import Expected
from train.datasets.class_maps import ClassMap
from train.datasets.registry import read_dataset, read_videos
from train.datasets.source import DatasetError, FrameFolder

Tree = Callable[[Path], Expected]


@pytest.mark.parametrize(
    ("name", "tree"),
    [
        ("mmew", mmew_tree),
        ("mmew", lambda root: mmew_tree(root, subject_first=True)),
        ("mmew", lambda root: mmew_tree(root, broken=True)),
        ("dfme", dfme_tree),
        ("dfme", lambda root: dfme_tree(root, broken=True)),
        ("4dme", fourdme_tree),
        ("casme", casme_tree),
        ("casme", lambda root: casme_tree(root, sections=True)),
        ("casme", lambda root: casme_tree(root, broken=True)),
        ("smic-e", smic_e_tree),
        ("smic-e", lambda root: smic_e_tree(root, broken=True)),
    ],
)
def test_every_layout_is_read_as_it_lies(name: str, tree: Tree, tmp_path: Path) -> None:
    expected = tree(tmp_path / "data")
    reading = read_dataset(name, [expected.root])
    check(reading, expected)
    assert (reading.dataset, {clip.dataset for clip in reading.clips}) == (name, {name})
    assert reading.class_map.startswith("3 classes: negative")
    for clip in reading.clips:
        if isinstance(clip.pictures, FrameFolder):
            assert all(path.is_file() for _, path in clip.pictures.files)


def test_dfme_is_read_at_each_clips_own_rate_and_says_its_part(tmp_path: Path) -> None:
    clips = read_dataset("dfme", [dfme_tree(tmp_path).root]).clips
    assert [(clip.clip, clip.fps, clip.part) for clip in clips] == [
        ("sub0071_01", 500.0, "training"),
        ("sub0071_02", 300.0, "training"),
        ("sub0072_11", 200.0, "training"),
        ("sub0501_01", 300.0, "testA"),
        ("sub0601_03", 240.0, "testB"),
    ]


def test_one_sheet_of_dfme_is_one_part(tmp_path: Path) -> None:
    root = dfme_tree(tmp_path).root
    reading = read_dataset("dfme", [root], [root / "testA_full_with_AU.xlsx"])
    assert [clip.clip for clip in reading.clips] == ["sub0501_01"]
    assert sum("no row for this clip" in defect.reason for defect in reading.defects) == 4


def test_a_part_of_dfme_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    root = dfme_tree(tmp_path).root
    (root / "testB_full_with_AU.xlsx").write_bytes(b"PK no workbook")
    reading = read_dataset("dfme", [root])
    assert {clip.part for clip in reading.clips} == {"training", "testA"}
    told = [(d.file.name, d.reason) for d in reading.defects if d.severity == "error" and "row" not in d.reason]
    assert [(name, reason.startswith("cannot be read as an .xlsx")) for name, reason in told] == [
        ("testB_full_with_AU.xlsx", True)
    ]


@pytest.mark.parametrize(("camera", "fps"), [("hs", 100.0), ("vis", 25.0), ("nir", 25.0)])
def test_a_camera_of_smic_e_has_its_own_sheet_and_rate(camera: str, fps: float, tmp_path: Path) -> None:
    expected = smic_e_tree(tmp_path, camera)
    reading = read_dataset("smic-e", [tmp_path], layout=camera)
    warnings = tuple(told for told in expected.warnings if "several layouts" not in told[1])
    check(reading, Expected(expected.root, expected.sheets, expected.clips, warnings, expected.errors))
    assert {(clip.fps, clip.part) for clip in reading.clips} == {(fps, camera.upper())}


def test_takes_of_smic_e_are_videos_with_every_micro_expression(tmp_path: Path) -> None:
    expected = smic_e_tree(tmp_path, broken=True)
    reading = read_videos("smic-e", [tmp_path])
    takes = sorted((take for take in smic_e_takes("hs", broken=True) if take.intervals), key=lambda take: take.id)
    assert [video.id for video in reading.videos] == [f"smic-e/{take.id}" for take in takes]
    for video, take in zip(reading.videos, takes, strict=True):
        assert tuple((event.onset, event.offset) for event in video.events) == take.intervals
        assert {(event.kind, event.apex, event.label) for event in video.events} == {("micro", None, take.label)}
        assert isinstance(video.pictures, FrameFolder) == bool(take.disk)
        if isinstance(video.pictures, FrameFolder):
            assert tuple(number for number, _ in video.pictures.files) == take.numbers
    check_defects(reading.defects, "error", expected.errors)


def test_a_take_that_counts_from_0_is_renumbered_too(tmp_path: Path) -> None:
    smic_e_tree(tmp_path)
    folder = next(tmp_path.rglob("HS_long/SMIC-HS-E/s07/s07_ne_01"))
    for number in range(1, 41):
        (folder / f"image{number:06d}.jpg").rename(folder / f"image{number - 1:06d}.jpg")
    clip = next(clip for clip in read_dataset("smic-e", [tmp_path]).clips if clip.clip == "s07_ne_01")
    assert isinstance(clip.pictures, FrameFolder)
    assert [clip.pictures.files[end][0] for end in (0, -1)] == [14301, 14340]


def test_the_sets_are_not_taken_for_each_other(tmp_path: Path) -> None:
    mmew_tree(tmp_path / "mmew")
    casme_tree(tmp_path / "casme")
    for name, root in (("dfme", "mmew"), ("casme2", "casme"), ("casme", "mmew"), ("samm", "mmew"), ("smic-e", "casme")):
        with pytest.raises(DatasetError, match="no annotation sheet under"):
            read_dataset(name, [tmp_path / root])


@pytest.mark.parametrize(
    ("name", "tree", "classes", "found"),
    [
        ("mmew", mmew_tree, 4, ["positive", "surprise", "others", "negative", "negative"]),
        ("mmew", mmew_tree, 7, ["happiness", "surprise", None, "disgust", "sadness"]),
        ("dfme", dfme_tree, 7, ["happiness", "contempt", "surprise", "anger", "sadness"]),
        ("4dme", fourdme_tree, 4, ["positive", None, "negative", "others", "surprise"]),
        ("casme", casme_tree, 4, ["negative", "negative", "others", "positive", "surprise"]),
        ("casme", casme_tree, 7, ["disgust", None, None, "happiness", "surprise"]),
    ],
)
def test_other_classes_where_the_emotions_give_them(name, tree, classes, found, tmp_path):
    reading = read_dataset(name, [tree(tmp_path).root], class_map=ClassMap(classes))
    assert [clip.label for clip in reading.clips] == found
    assert reading.classes == ClassMap(classes).class_names
    assert reading.class_map.startswith(f"{classes} classes: ")


@pytest.mark.parametrize(("name", "classes"), [("smic", 4), ("smic-e", 7), ("4dme", 7), ("dfme", 4)])
def test_classes_that_the_emotions_do_not_give_are_refused(name: str, classes: int, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"{name}: its emotions give no {classes} classes; expected --label-map 3"):
        read_dataset(name, [tmp_path], class_map=ClassMap(classes))  # type: ignore[arg-type]


def test_contempt_and_a_one_sided_12_go_where_they_are_put(tmp_path: Path) -> None:
    root = dfme_tree(tmp_path).root

    def label(**chosen: str) -> str | None:
        clips = read_dataset("dfme", [root], class_map=ClassMap(**chosen)).clips  # type: ignore[arg-type]
        return next(clip.label for clip in clips if clip.clip == "sub0071_02")

    assert label() == label(one_sided_12="contempt") == "negative"
    assert label(one_sided_12="happiness") == "positive"
    assert label(contempt="left-out") is None
    assert label(contempt="left-out", one_sided_12="happiness") == "positive"


@pytest.mark.parametrize("layout", ["raw", "thermal"])
def test_a_layout_that_is_not_there_is_told(layout: str, tmp_path: Path) -> None:
    smic_e_tree(tmp_path)
    with pytest.raises(DatasetError, match=f"--layout: expected one of hs, vis, nir, found '{layout}'"):
        read_dataset("smic-e", [tmp_path], layout=layout)

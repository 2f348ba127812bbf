"""The readers on trees in the real layouts with the real quirks planted: right clips, labels, frames, all that is told."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.dataset_checks import check, check_defects
from tests.helpers.dataset_trees import Expected, casme2_tree, composite_tree, samm_tree, smic_tree
from tests.helpers.workbooks import write_workbook
from train.datasets import casme2
from train.datasets.frames import scan
from train.datasets.registry import read_dataset
from train.datasets.source import DatasetError, FrameFolder

Tree = Callable[[Path], Expected]


@pytest.mark.parametrize(
    ("name", "tree"),
    [
        ("smic", smic_tree),
        ("smic", lambda root: smic_tree(root, "cropped")),
        ("smic", lambda root: smic_tree(root, sheet=False)),
        ("smic", lambda root: smic_tree(root, broken=True)),
        ("smic", lambda root: smic_tree(root, broken=True, sheet=False)),
        ("casme2", casme2_tree),
        ("casme2", lambda root: casme2_tree(root, "raw")),
        ("casme2", lambda root: casme2_tree(root, "cropped")),
        ("casme2", lambda root: casme2_tree(root, revised=True)),
        ("casme2", lambda root: casme2_tree(root, broken=True)),
        ("samm", samm_tree),
        ("samm", lambda root: samm_tree(root, revised=True)),
        ("composite", composite_tree),
    ],
)
def test_every_layout_is_read_as_it_lies(name: str, tree: Tree, tmp_path: Path) -> None:
    expected = tree(tmp_path / "data")
    reading = read_dataset(name, [expected.root])
    check(reading, expected)
    assert reading.dataset == name
    assert {clip.dataset for clip in reading.clips} <= {"smic", "casme2", "samm"}
    for clip in reading.clips:
        assert clip.fps == (100.0 if clip.dataset == "smic" else 200.0)
        if isinstance(clip.pictures, FrameFolder):
            assert all(path.is_file() for _, path in clip.pictures.files)


def test_sizes_and_rates_say_what_is_cropped(tmp_path: Path) -> None:
    for layout, cropped in (("raw_selected", False), ("cropped", True)):
        casme2_tree(tmp_path / layout, layout)
        assert {clip.cropped for clip in read_dataset("casme2", [tmp_path / layout]).clips} == {cropped}
    for layout, cropped in (("raw", False), ("cropped", True)):
        smic_tree(tmp_path / "smic" / layout, layout)
        assert {clip.cropped for clip in read_dataset("smic", [tmp_path / "smic" / layout]).clips} == {cropped}


@pytest.mark.parametrize(
    ("layout", "outer"),
    [("raw_selected", "CASME2-RAW"), ("raw", "CASME2_RAW_selected"), ("cropped", "CASME2-RAW"), ("raw", "Cropped")],
)
def test_the_nearest_folder_says_the_layout(layout: str, outer: str, tmp_path: Path) -> None:
    root = casme2_tree(tmp_path / outer, layout).root
    assert {clip.layout for clip in casme2.find_clips(scan([root]))} == {layout}


def test_cropped_pictures_say_so_in_their_names(tmp_path: Path) -> None:
    for name, tree, archive in (("casme2", casme2_tree, "Cropped"), ("smic", smic_tree, "SMIC_all_cropped")):
        root = tree(tmp_path / name, "cropped").root
        (root / archive).rename(root / "faces")
        if (root / "faces" / archive).is_dir():
            (root / "faces" / archive).rename(root / "faces" / "faces")
        clips = read_dataset(name, [root]).clips
        assert len(clips) >= 7
        assert all(clip.cropped for clip in clips)


def test_the_root_may_be_a_level_above_or_below(tmp_path: Path) -> None:
    expected = casme2_tree(tmp_path / "outer" / "inner" / "CASME2")
    for root in (
        tmp_path / "outer",
        tmp_path / "outer" / "inner",
        expected.root,
        expected.root / "CASME2_RAW_selected",
    ):
        check(read_dataset("casme2", [root]), expected)
    inner = expected.root / "CASME2_RAW_selected" / "CASME2_RAW_selected"
    check(read_dataset("casme2", [inner]), expected)
    with pytest.raises(DatasetError, match=r"no annotation sheet under .*sub05.*--annotation FILE"):
        read_dataset("casme2", [inner / "sub05"])


@pytest.mark.parametrize(("name", "tree"), [("smic", smic_tree), ("casme2", casme2_tree), ("samm", samm_tree)])
@pytest.mark.parametrize("root", [".", "..", "../data"])
def test_a_root_may_be_relative(name, tree, root, tmp_path, monkeypatch):
    expected = tree(tmp_path / "data")
    (tmp_path / "data" / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "data" / ("inside" if root == ".." else ""))
    reading = read_dataset(name, [Path(root)])
    assert [(clip.id, clip.pictures is None) for clip in reading.clips] == [
        (clip.id, clip.numbers is None) for clip in expected.clips
    ]


def test_frames_and_sheet_in_two_roots(tmp_path: Path) -> None:
    expected = samm_tree(tmp_path / "frames" / "deep" / "deeper")
    elsewhere = tmp_path / "sheets" / "renamed copy.xlsx"
    elsewhere.parent.mkdir()
    shutil.move(expected.sheets[0], elsewhere)
    moved = Expected(expected.root, (elsewhere,), expected.clips, expected.warnings, expected.errors)
    check(read_dataset("samm", [expected.root, elsewhere.parent]), moved)
    check(read_dataset("samm", [expected.root], [elsewhere]), moved)


def test_overlapping_roots_and_links_count_once(tmp_path: Path) -> None:
    expected = smic_tree(tmp_path / "data")
    (expected.root / "SMIC" / "again").symlink_to(expected.root / "SMIC")
    check(read_dataset("smic", [expected.root, expected.root / "SMIC"]), expected)


def test_the_same_clips_in_two_roots_are_used_once_and_told(tmp_path: Path) -> None:
    expected = samm_tree(tmp_path / "one")
    samm_tree(tmp_path / "two")
    reading = read_dataset("samm", [tmp_path / "one", tmp_path / "two"])
    told = (
        ("041/041_1_2", f"another copy of {tmp_path}/one/SAMM/041/041_1_2 and 8 more such folders"),
        ("", "two/SAMM_Micro_FACS_Codes_v2.xlsx would fit as well"),
    )
    check(reading, Expected(expected.root, expected.sheets, expected.clips, (*expected.warnings, *told), ()))


def test_a_copy_with_frames_is_used_rather_than_an_empty_one(tmp_path: Path) -> None:
    expected = samm_tree(tmp_path)
    (tmp_path / "A" / "041" / "041_1_2").mkdir(parents=True)
    told = ("041/041_1_2", f"another copy of {tmp_path}/SAMM/041/041_1_2: one of each is used, the first with frames")
    check(
        read_dataset("samm", [tmp_path]),
        Expected(tmp_path, expected.sheets, expected.clips, (*expected.warnings, told), ()),
    )


def test_several_layouts_side_by_side(tmp_path: Path) -> None:
    expected = casme2_tree(tmp_path)
    other = casme2_tree(tmp_path, "cropped")
    reading = read_dataset("casme2", [tmp_path])
    told = ("", "several layouts: raw_selected (12 clips), cropped (12 clips); raw_selected is read")
    check(reading, Expected(tmp_path, expected.sheets, expected.clips, (*expected.warnings, told), ()))
    check(read_dataset("casme2", [tmp_path], layout="cropped"), other)
    shutil.rmtree(tmp_path / "CASME2_RAW_selected" / "CASME2_RAW_selected" / "sub03")
    assert "cropped is read" in " ".join(map(str, read_dataset("casme2", [tmp_path]).defects))
    with pytest.raises(DatasetError, match=r"--layout raw: no such clips.*raw_selected \(9 clips\)"):
        read_dataset("casme2", [tmp_path], layout="raw")
    with pytest.raises(DatasetError, match="--layout: expected one of raw_selected, raw, cropped, found 'big'"):
        read_dataset("casme2", [tmp_path], layout="big")


@pytest.mark.parametrize(("name", "tree"), [("smic", smic_tree), ("casme2", casme2_tree), ("samm", samm_tree)])
def test_a_sheet_without_frames_still_gives_labels(name: str, tree: Tree, tmp_path: Path) -> None:
    expected = tree(tmp_path / "data")
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(expected.sheets[0], alone)
    reading = read_dataset(name, [alone])
    in_sheet = [clip for clip in expected.clips if "s07_ne_02" not in clip.id]
    assert [(clip.id, clip.label) for clip in reading.clips] == [(clip.id, clip.label) for clip in in_sheet]
    assert all(clip.pictures is None for clip in reading.clips)
    check_defects(reading.defects, "error", (("", f"no frames of any of the {len(in_sheet)} clips"),))


@pytest.mark.parametrize(("name", "tree"), [("casme2", casme2_tree), ("samm", samm_tree)])
def test_frames_without_a_sheet(name: str, tree: Tree, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "data"
    tree(root).sheets[0].unlink()
    with pytest.raises(
        DatasetError, match=r"no annotation sheet under .*, usually .*\.xlsx; give it with --annotation"
    ):
        read_dataset(name, [root])


@pytest.mark.parametrize("name", ["smic", "casme2", "samm", "composite"])
def test_an_empty_folder(name: str, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "empty"
    root.mkdir(parents=True)
    with pytest.raises(DatasetError, match=f"under {root}"):
        read_dataset(name, [root])


@pytest.mark.parametrize(
    ("name", "roots", "annotations", "message"),
    [
        ("cohn", ["."], [], "--dataset: expected one of smic, casme2, .*, folder, sessions, found 'cohn'"),
        ("smic", [], [], "smic: no folder given; add --root DIR"),
        ("smic", ["none"], [], "none: expected a folder, found none"),
        ("smic", ["file"], [], "file: expected a folder, found a file"),
        ("smic", ["."], ["none.xlsx"], "none.xlsx: expected a file, found none"),
        ("folder", [".", "."], [], "folder: expected one --root and at most two --annotation, found 2 and 0"),
    ],
)
def test_what_is_no_dataset_at_all(name, roots, annotations, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(DatasetError, match=message):
        read_dataset(name, list(map(Path, roots)), list(map(Path, annotations)))


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (defect,) = scan([tmp_path / "gone"]).defects
    assert (defect.severity, defect.file) == ("error", tmp_path / "gone")
    assert defect.reason == "cannot be read (No such file or directory)"


def test_folders_that_are_no_clips_are_told_in_one_line(tmp_path: Path) -> None:
    expected = samm_tree(tmp_path)
    for name in ("album", "scans"):
        shutil.copytree(tmp_path / "SAMM" / "044" / "044_1_1", tmp_path / name)
    told = ("", "2 folders of pictures, this the first, not named like a clip of SAMM (006_1_2): passed over")
    check(
        read_dataset("samm", [tmp_path]),
        Expected(tmp_path, expected.sheets, expected.clips, (*expected.warnings, told), ()),
    )


def test_samm_rows_whose_subject_and_name_disagree(tmp_path: Path) -> None:
    header = ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion"]
    rows = [["041", "042_1_1", 1, 2, 3, "Anger"], ["042", "42_1_02", 1, "", 3, "Anger"], ["042", "042", 1, 2, 3, "Anger"],
            ["x", "042_1_3", 1, 2, 3, "Anger"]]  # fmt: skip
    write_workbook(tmp_path / "a.xlsx", {"S": [header, *rows]})
    reading = read_dataset("samm", [tmp_path])
    assert [(clip.id, clip.label, clip.apex) for clip in reading.clips] == [("samm/042/042_1_2", "negative", None)]
    assert [defect.row for defect in reading.defects if defect.reason.startswith(("Subject", "Filename"))] == [2, 4, 5]


def test_the_composite_takes_roots_and_sheets_in_any_arrangement(tmp_path: Path) -> None:
    expected = composite_tree(tmp_path / "all")
    parts = sorted(path for path in expected.root.iterdir() if path.is_dir())
    check(read_dataset("composite", parts), expected)
    moved = tmp_path / "sheets"
    moved.mkdir()
    sheets = tuple(Path(shutil.move(path, moved)) for path in expected.sheets)
    elsewhere = Expected(expected.root, sheets, expected.clips, expected.warnings, expected.errors)
    check(read_dataset("composite", parts, list(reversed(sheets))), elsewhere)
    with pytest.raises(DatasetError, match="CASME II: no annotation sheet"):
        read_dataset("composite", [parts[0], parts[2]], [sheets[0]])
    other = write_workbook(moved / "other.xlsx", {"S": [["a", "b"], [1, 2]]})
    with pytest.raises(DatasetError, match=r"other.xlsx: no row with the columns.*CASME II"):
        read_dataset("composite", parts, [*sheets, other])


def test_the_composite_reads_a_layout_where_it_lies(tmp_path: Path) -> None:
    composite_tree(tmp_path)
    casme2_tree(tmp_path / "CASME2-data", "cropped")
    clips = read_dataset("composite", [tmp_path], layout="cropped").clips
    assert {clip.dataset for clip in clips if clip.cropped} == {"casme2"}
    assert all(clip.cropped for clip in clips if clip.dataset == "casme2")
    with pytest.raises(DatasetError, match="--layout: expected one of raw, cropped, raw_selected, found 'big'"):
        read_dataset("composite", [tmp_path], layout="big")

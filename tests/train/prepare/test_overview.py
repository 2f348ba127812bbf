"""Contact sheets, and what `prepare` shows and says of real layouts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.dataset_trees import casme2_tree, composite_tree
from tests.helpers.faces import folder_of_faces
from tests.train.datasets.test_folder import store as small_store
from train.__main__ import main
from train.clips.sheets import contact_sheet
from train.clips.store import ClipStore
from train.prepare.overview import write_preview


def test_a_contact_sheet_holds_every_crop_under_its_title(tmp_path: Path) -> None:
    levels = (40, 120, 220)
    crops = [np.full((64, 64), levels[0], np.uint8), np.full((32, 32, 1), levels[1], np.uint8)]
    colour = np.zeros((256, 256, 3), np.uint8)
    colour[..., 0] = levels[2]
    path = contact_sheet([("casme2/sub01 ünïcode – misses", crops), ("a", [colour])], tmp_path / "sheet.png")
    sheet = cv2.imread(str(path))
    for level in levels[:2]:
        assert (sheet == level).all(axis=-1).sum() == 128 * 128
    assert (sheet == (0, 0, levels[2])).all(axis=-1).sum() == 128 * 128  # red in OpenCV's order
    assert (sheet[:30] > 150).any() and [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_many_rows_go_on_beside(tmp_path: Path) -> None:
    rows = [(f"row {index}", [np.full((32, 32), 99, np.uint8)] * 2) for index in range(33)]
    height, width = cv2.imread(str(contact_sheet(rows, tmp_path / "sheet.png"))).shape[:2]
    assert height < 11 * 170 < 12 * 170 and width > 3 * 2 * 128


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected rows, found none"):
        contact_sheet([], tmp_path / "sheet.png")
    with pytest.raises(ValueError, match=r"found float64 \(8, 8\)"):
        contact_sheet([("a", [np.zeros((8, 8))])], tmp_path / "sheet.png")  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


def test_a_preview_has_a_row_for_every_person_and_class(tmp_path: Path) -> None:
    path = small_store(tmp_path / "store", ("negative", "positive", "surprise"))
    sheet = cv2.imread(str(write_preview(ClipStore.open(path))))
    assert sheet.shape[0] > 3 * 128 and sheet.shape[1] > 4 * 128


def test_the_composite_of_three_datasets(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    expected = composite_tree(tmp_path / "data", faces=True)
    out = tmp_path / "out"
    command = ["prepare", "--dataset", "composite", "--root", str(expected.root), "--out", str(out), "--jobs", "1"]
    assert main([*command, "--frames", "9", "--lead-frames", "0", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    store = ClipStore.open(out)
    wanted = {clip.id: clip for clip in expected.labelled() if clip.numbers}
    assert [record.id for record in store.records] == sorted(wanted, key=lambda name: name.casefold().split("/"))
    for record in store.records:
        clip = wanted[record.id]
        assert (record.label, record.action_units) == (clip.label, clip.action_units)
        source = record.notes["source"]
        assert clip.numbers is not None
        assert source["onset"] == (clip.numbers[0] if clip.onset is None else clip.onset)
        assert source["offset"] == (clip.numbers[-1] if clip.offset is None else clip.offset)
        assert source["apex"] == clip.apex
    assert len(store.manifest.settings["annotations"]) == 3 and told["clips"] == len(wanted)
    assert {name.split("/")[0] for name in told["people"]} == {"smic", "casme2", "samm"}


def test_a_cropped_layout_with_rows_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    expected = casme2_tree(tmp_path / "data", "cropped", faces=True, broken=True)
    command = [
        "prepare",
        "--dataset",
        "casme2",
        "--root",
        str(expected.root),
        "--out",
        str(tmp_path / "out"),
        "--jobs",
        "1",
    ]
    assert main([*command, "--frames", "9", "--lead-frames", "0"]) == 0
    store = ClipStore.open(tmp_path / "out")
    wanted = {clip.id for clip in expected.labelled() if clip.numbers}
    assert {record.id for record in store.records} == wanted
    assert len(store.manifest.left_out) >= len(expected.errors)
    assert main([*command, "--strict", "--overwrite"]) == 2
    assert f"{len(expected.errors)} errors, listed above (--strict)" in capfd.readouterr().err.splitlines()[-1]


def test_real_faces_stay_where_they_are(tmp_path: Path) -> None:
    """Videos of real people, as many as there are: the alignment holds from onset to offset."""
    for index, path in enumerate(sorted(folder_of_faces("videos").glob("*.mp4"))[:4]):
        target = tmp_path / "clips" / "negative" / f"p{index}_1.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    names = [path.name for path in (tmp_path / "clips" / "negative").iterdir()]
    (tmp_path / "a.csv").write_text("file,onset,offset\n" + "".join(f"{name},40,54\n" for name in names))
    command = ["prepare", "--dataset", "folder", "--root", str(tmp_path / "clips"), "--out", str(tmp_path / "out")]
    assert main([*command, "--annotation", str(tmp_path / "a.csv"), "--jobs", "1"]) == 0
    store = ClipStore.open(tmp_path / "out")
    assert len(store) + len(store.manifest.left_out) == len(names)
    assert all(record.notes["alignment"]["drift_px"] < 6 for record in store.records)

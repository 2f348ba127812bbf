"""`python -m train list`, and the comparison with the published lists."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.clip_dataset_trees import TREES, dfme_tree
from tests.helpers.dataset_trees import casme2_tree, composite_tree, samm_tree, smic_tree
from train.__main__ import main
from train.datasets import labels
from train.datasets.labels import KNOWN_PARTS, Part, canonical_lines, canonical_sha256, checks
from train.datasets.registry import read_dataset
from train.datasets.source import THREE_CLASSES, Reading, SourceClip

SAMM_LINES = [
    "samm,041,041_1_2,1",
    "samm,041,041_2_1,0",
    "samm,041,041_2_3,0",
    "samm,042,042_1_1,0",
    "samm,042,042_3_1,2",
    "samm,042,042_3_2,0",
    "samm,044,044_1_1,0",
    "samm,044,044_1_3,1",
]
SAMM_SHA256 = hashlib.sha256(("\n".join(SAMM_LINES) + "\n").encode()).hexdigest()


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def clip(dataset: str, subject: str, name: str, label: str | None) -> SourceClip:
    return SourceClip(dataset, subject, name, "as annotated", label, 200.0, None)


def test_canonical_lines_and_their_hash() -> None:
    clips = [
        clip("smic", "s01", "s01_sur_01", "surprise"),
        clip("samm", "006", "006_1_2", "positive"),
        clip("samm", "006", "006_1_3", None),
        clip("casme2", "sub01", "EP02_01f", "negative"),
    ]
    lines = canonical_lines(clips)
    assert lines == ["casme2,sub01,EP02_01f,0", "samm,006,006_1_2,1", "smic,s01,s01_sur_01,2"]
    text = b"casme2,sub01,EP02_01f,0\nsamm,006,006_1_2,1\nsmic,s01,s01_sur_01,2\n"
    assert canonical_sha256(lines) == hashlib.sha256(text).hexdigest()
    assert canonical_sha256([]) == hashlib.sha256(b"").hexdigest()


def test_the_known_parts_add_up() -> None:
    parts = [KNOWN_PARTS[name] for name in ("smic", "casme2", "samm")]
    whole = KNOWN_PARTS["composite"]
    assert sum(part.clips for part in parts) == whole.clips == 442
    assert sum(part.subjects for part in parts) == whole.subjects == 68
    assert tuple(map(sum, zip(*(part.per_class for part in parts), strict=True))) == whole.per_class == (250, 109, 83)
    assert all(sum(part.per_class) == part.clips and len(part.sha256) == 64 for part in KNOWN_PARTS.values())


def test_a_check_says_match_other_numbers_or_other_names(tmp_path, monkeypatch):
    reading = read_dataset("samm", [samm_tree(tmp_path).root])
    (check,) = checks(reading)
    assert not check.matches
    assert str(check) == (
        "SAMM: differs from the published list: found 8 clips of 3 subjects, 5/2/1; expected 133 clips of 28 subjects, "
        "92/26/15; usual cause: a later or edited copy of the sheet, or rows that could not be read"
    )
    monkeypatch.setattr(labels, "KNOWN_PARTS", {**KNOWN_PARTS, "samm": Part("SAMM", 8, 3, (5, 2, 1), SAMM_SHA256)})
    (check,) = checks(reading)
    assert check.matches
    assert str(check) == "SAMM: 8 clips of 3 subjects, 5/2/1, the published list exactly (SHA-256 matches)"
    clips = (*reading.clips[:-1], replace(reading.clips[-1], clip="044_1_4"))
    (check,) = checks(replace(reading, clips=clips))
    assert not check.matches
    assert "though the numbers agree (8 clips of 3 subjects, 5/2/1): a clip has another name" in str(check)


def test_the_composite_is_checked_part_by_part_and_others_not_at_all(tmp_path):
    found = checks(read_dataset("composite", [composite_tree(tmp_path).root]))
    assert [(check.name, check.found.clips, check.found.subjects) for check in found] == [
        ("smic", 7, 3), ("casme2", 7, 3), ("samm", 8, 3), ("composite", 22, 9),
    ]  # fmt: skip
    assert checks(Reading("folder", THREE_CLASSES, (clip("mine", "ann", "a", "positive"),))) == []


def test_canonical_prints_the_lines_alone(tmp_path, capsys):
    root = samm_tree(tmp_path).root
    assert main(["list", "--dataset", "samm", "--root", str(root), "--canonical"]) == 0
    told = capsys.readouterr()
    assert hashlib.sha256(told.out.encode()).hexdigest() == SAMM_SHA256
    assert "SAMM: differs from the published list: found 8 clips" in told.err
    assert "4 warnings in" in told.err


def test_tables_outcome_and_warnings(tmp_path, capsys, wide):
    root = casme2_tree(tmp_path).root
    assert main(["list", "--dataset", "casme2", "--root", str(root)]) == 0
    out = capsys.readouterr().out
    assert "casme2: 12 clips of 3 subjects, 12 with frames" in out
    rows = {
        line.split()[1]: [cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line
    }
    assert rows["sub05"] == ["sub05", "1", "·", "1", "2", "4"]
    assert rows["all"] == ["all", "3", "2", "2", "5", "12"]
    assert rows["repression"] == ["repression", "negative", "1"]
    assert f"annotation: {root}/CASME2-coding-20140508.xlsx" in out
    assert "CASME II: differs from the published list: found 7 clips of 3 subjects, 3/2/2; expected 145" in out
    assert f"10 warnings in {root}:" in out
    assert "  CASME2-coding-20140508.xlsx, row 6 (sub05/EP93_04f): no apex above the onset 5" in out
    assert "error" not in out


def test_strict_lists_everything_and_ends_with_2(tmp_path, capsys, wide):
    root = casme2_tree(tmp_path, broken=True).root
    flags = ["list", "--dataset", "casme2", "--root", str(root)]
    assert main(flags) == 0
    assert "9 errors in" in capsys.readouterr().out
    assert main([*flags, "--strict"]) == 2
    told = capsys.readouterr()
    assert "9 errors in" in told.out
    assert "row 18 (sub08/EP96_04f): no folder of frames for this row" in told.out
    assert told.err.strip() == "train: casme2: 9 errors, listed above (--strict)"
    assert main(["list", "--dataset", "smic", "--root", str(smic_tree(tmp_path / "smic").root), "--strict"]) == 0


def test_json_holds_everything(tmp_path, capsys):
    root = composite_tree(tmp_path).root
    assert main(["list", "--dataset", "composite", "--root", str(root), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["n"], report["classes"]) == ("composite", 22, list(THREE_CLASSES))
    assert report["per_class"] == {"negative": 11, "positive": 6, "surprise": 5}
    assert report["subjects"]["samm/042"] == {"negative": 2, "positive": 0, "surprise": 1}
    assert [(check["part"], check["matches"]) for check in report["checks"]][-1] == ("composite", False)
    by_id = {entry["id"]: entry for entry in report["clips"]}
    entry = by_id["samm/042/042_3_2"]
    assert {name: entry[name] for name in ("label", "onset", "apex", "offset", "frames", "action_units", "emotion")} == {
        "label": "negative", "onset": 1300, "apex": 1306, "offset": 1312, "frames": 13, "action_units": ["7B", "43C"],
        "emotion": "Fear",
    }  # fmt: skip
    assert by_id["casme2/sub05/EP93_04f"]["label"] is None
    assert report["errors"] == []
    assert {"file", "row", "clip", "reason"} == set(report["warnings"][0])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "samm", "--root", "none"], "--root none: expected a folder, found none"),
        (["--dataset", "samm", "--root", "deep/data"], "SAMM: no annotation sheet under deep/data"),
        (["--dataset", "samm", "--root", "deep/data", "--annotation", "none"], "--annotation none: expected a file"),
        (["--dataset", "samm", "--root", "deep/data", "--fps", "200"], "--fps: samm has its own frame rate"),
        (["--dataset", "folder", "--root", "deep/data", "--fps", "0"], "--fps: expected a number above 0, found 0"),
        (["--dataset", "samm", "--root", "deep", "--annotation", "deep/a.xlsx"], "a.xlsx: cannot be read as an .xlsx"),
    ],
)
def test_what_cannot_be_read_at_all_is_one_line(flags, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("deep/data").mkdir(parents=True)
    Path("deep/a.xlsx").write_text("no zip")
    assert main(["list", *flags]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert told.out == ""


def test_the_class_map_can_be_chosen_and_is_told(tmp_path, capsys, wide):
    root = dfme_tree(tmp_path / "dfme").root
    flags = ["list", "--dataset", "dfme", "--root", str(root)]
    assert main([*flags, "--label-map", "7"]) == 0
    out = capsys.readouterr().out
    assert (
        "class map: 7 classes: anger, contempt, disgust, fear, happiness, sadness, surprise; in none: negative" in out
    )
    assert (
        "DFME training: differs from the published numbers: 3 clips instead of 1,856, 2 subjects instead of 176;" in out
    )
    assert "frames a second: 200 (1 clip), 240 (1 clip), 300 (2 clips), 500 (1 clip)" in out
    assert main([*flags, "--contempt", "left-out", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["class_map"].endswith("in none: contempt, others, tense; a one-sided 12 alone: as annotated")
    assert report["per_class"] == {"negative": 2, "positive": 1, "surprise": 1}
    assert {clip["part"] for clip in report["clips"]} == {"training", "testA", "testB"}
    assert [check["matches"] for check in report["checks"]] == [False] * 3


def test_published_lists_are_compared_with_published_classes_alone(tmp_path, capsys):
    flags = ["list", "--dataset", "samm", "--root", str(samm_tree(tmp_path).root), "--json"]
    for chosen, checked in (((), 1), (("--one-sided-12", "contempt"), 0), (("--label-map", "4"), 0)):
        assert main([*flags, *chosen]) == 0
        assert len(json.loads(capsys.readouterr().out)["checks"]) == checked


@pytest.mark.parametrize(
    ("dataset", "chosen", "message"),
    [
        ("smic", ("--label-map", "4"), "smic: its emotions give no 4 classes; expected --label-map 3"),
        ("composite", ("--contempt", "left-out"), "composite: it is that of MEGC2019, with classes of its own"),
        ("folder", ("--label-map", "7"), "folder: its classes are its own; leave out --label-map"),
    ],
)
@pytest.mark.parametrize("command", [("list",), ("prepare", "--out", "store")])
def test_classes_that_there_are_not_are_refused_in_one_line(command, dataset, chosen, message, tmp_path, capsys):
    assert main([*command, "--dataset", dataset, "--root", str(tmp_path), *chosen]) == 2
    told = capsys.readouterr().err
    assert message in told and len(told.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["mmew", "dfme", "casme", "smic-e"])
def test_strict_refuses_what_the_newer_sets_get_wrong(name, tmp_path, capsys):
    root = TREES[name](tmp_path, broken=True).root
    assert main(["list", "--dataset", name, "--root", str(root), "--strict"]) == 2
    assert "listed above (--strict)" in capsys.readouterr().err

"""`python -m train list` of long videos: tables, counts beside the published ones, JSON, --strict and --max-frames."""

import json
from pathlib import Path

import pytest

from tests.helpers.long_video_quirks import casme2_long_quirks, casme3_c_quirks, casme3_quirks, samm_long_quirks
from tests.helpers.long_video_trees import MadeVideo, write_long_dataset
from train.__main__ import main
from train.datasets.source import AnnotatedEvent


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("wide")
def test_tables_counts_and_what_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    casme2_long_quirks(tmp_path)
    assert main(["list", "--dataset", "casme2-long", "--root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "casme2-long: 6 videos of 4 subjects, 5 with pictures" in said
    rows = [line.replace("│", " ").split() for line in said.splitlines()]
    assert ["s15", "2", "·", "80", "5", "2"] in rows and ["all", "6", "2", "159", "6", "3"] in rows
    assert ["negative", "negative", "2", "1"] in rows and ["others", "no", "class", "1", "·"] in rows
    assert "class map: 3 classes: negative (" in said
    assert "CAS(ME)², macro + micro: 6 + 3, not as published: macro 6 instead of 300; micro 3 instead of 57" in said
    assert "  deep/CAS(ME)^2code_final.xlsx, row 2 (s15/15_0101): offset 0: as far after the apex" in said


@pytest.mark.usefixtures("wide")
def test_strict_refuses_errors_and_mended_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    casme2_long_quirks(tmp_path / "casme2")
    command = ["list", "--dataset", "casme2-long", "--root", str(tmp_path / "casme2"), "--strict"]
    assert main(command) == 2
    assert "casme2-long: 8 errors and 2 mended numbers, listed above (--strict)" in capsys.readouterr().err
    event = AnnotatedEvent("macro", 3, 44, 7, "negative")
    root = write_long_dataset("samm-long", tmp_path / "samm", [MadeVideo("006", "006_1", range(1, 30), (event,))])
    assert main(["list", "--dataset", "samm-long", "--root", str(root)]) == 0
    assert main(["list", "--dataset", "samm-long", "--root", str(root), "--strict"]) == 2
    assert "samm-long: 1 mended number, listed above (--strict)" in capsys.readouterr().err


def test_json_has_every_video_and_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = samm_long_quirks(tmp_path)
    assert main(["list", "--dataset", "samm-long", "--root", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [video["id"] for video in told["videos"]] == list(expected.videos)
    first = told["videos"][0]
    assert (first["fps"], first["frames"], first["first"], first["last"]) == (200.0, 80, 1, 80)
    assert first["events"][1] == {
        "kind": "micro", "onset": 31, "apex": 34, "offset": 41, "emotion": "Happiness", "label": "positive", "row": 12,
        "action_units": ["L12"],
    }  # fmt: skip
    assert told["n"] == {"macro": 2, "micro": 4} and told["per_class"]["micro"]["positive"] == 1
    assert told["subjects"]["041"] == {"videos": 2, "without_events": 0, "pictures": 140, "macro": 2, "micro": 4}
    assert told["checks"][0]["expected_events"] == {"macro": 343, "micro": 159} and not told["checks"][0]["matches"]
    assert sum(warning["mended"] for warning in told["warnings"]) == len(expected.mended)
    assert len(told["errors"]) == len(expected.errors) and told["sheets"] == [str(path) for path in expected.sheets]


@pytest.mark.usefixtures("wide")
def test_long_ones_are_left_out_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    casme3_quirks(tmp_path)
    command = ["list", "--dataset", "casme3", "--root", str(tmp_path), "--max-frames", "10", "--label-map", "7"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "micro-expressions of more than 10 frames are left out: 1 of 5 (--max-frames 10)" in said
    assert "class map: 7 classes" in said
    assert "macro + micro: 2 + 5, not as published" in said, "the counts are those of the sheet"
    assert main([*command, "--canonical"]) == 0
    assert capsys.readouterr().out == "casme3,spNO.7,b_1294,2\n"
    assert main(["list", "--dataset", "samm", "--root", str(tmp_path), "--max-frames", "10"]) == 2
    assert "--max-frames: samm has clips, not long videos" in capsys.readouterr().err


@pytest.mark.usefixtures("wide")
def test_part_c_has_micro_expressions_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    casme3_c_quirks(tmp_path)
    assert main(["list", "--dataset", "casme3-c", "--root", str(tmp_path)]) == 0
    assert "CAS(ME)³ part C, micro: 2, not as published: micro 2 instead of 165" in capsys.readouterr().out

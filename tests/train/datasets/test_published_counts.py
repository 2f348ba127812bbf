"""Whether a copy is whole: sheets with as many rows as the full ones, of made names, and some that lack a few."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from tests.helpers.workbooks import Cell, write_workbook
from train.datasets.class_maps import SEVEN_CLASSES, ClassMap
from train.datasets.labels import checks
from train.datasets.registry import read_dataset

MMEW = {"surprise": 89, "disgust": 72, "others": 66, "happiness": 36, "fear": 16, "sadness": 13, "anger": 8}
DFME = {"training": (1856, 176), "testA": (474, 42), "testB": (299, 41)}


def mmew(folder: Path, lacking: int = 0) -> None:
    emotions = [emotion for emotion, count in MMEW.items() for _ in range(count)]
    rows = [
        [n % 36 + 1, f"S{n % 36 + 1:02d}-01-{n:03d}", 1, 5, 9, "12", emotion]
        for n, emotion in enumerate(emotions[lacking:])
    ]
    header = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion"]
    sheet(folder / "MMEW_Micro_Exp.xlsx", header, rows)


def dfme(folder: Path, lacking: int = 0) -> None:
    header = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "EmotionId", "Fps", "AU"]
    before = 0
    for part, (count, people) in DFME.items():
        numbers = [before + n % people for n in range(count - lacking * (part == "testA"))]
        rows = [
            [f"sub{who:04d}", f"sub{who:04d}_{n:02d}", 0, 5, 90, SEVEN_CLASSES[n % 7], n % 7, (500, 300, 200)[n % 3], "4"]
            for n, who in enumerate(numbers)
        ]  # fmt: skip
        sheet(folder / f"{part}_full_with_AU.xlsx", header, rows)
        before += people


def fourdme(folder: Path, lacking: int = 0) -> None:
    rows = [[f"s{n % 24}", f"m{n}", 1, 5, 9, "12", "Surprise+Positive"] for n in range(267 - lacking)]
    header = ["sub_ID", "fold_name", "Onset", "Apex", "Offset", "AUs", "Emotion"]
    sheet(folder / "4DME_Labelling_Micro_release v1.xlsx", header, rows)


def smic_e(folder: Path, lacking: int = 0) -> None:
    counts = {"ne": 66 - lacking, "po": 51, "sur": 40}
    names = [f"s{n % 16 + 1}_{kind}_{n:02d}" for kind, count in counts.items() for n in range(count)]
    rows = [[int(name[1 : name.index("_")]), name, 10, 20, 1, 60] for name in names]
    sheet(
        folder / "SMIC-HS-E_annotation.xlsx",
        ["Subject", "Filename", "OnsetF", "OffsetF", "FirstF", "LastF"],
        rows,
        "HS",
    )


def sheet(path: Path, header: Sequence[Cell], rows: Iterable[Sequence[Cell]], name: str = "Sheet1") -> None:
    write_workbook(path, {name: [header, *rows]})


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("mmew", mmew, ["MMEW: 300 clips of 36 subjects as published"]),
        (
            "dfme",
            dfme,
            [
                "DFME training: 1,856 clips of 176 subjects as published",
                "DFME testA: 474 clips of 42 subjects as published",
                "DFME testB: 299 clips of 41 subjects as published",
            ],
        ),
        ("4dme", fourdme, ["4DME micro: 267 clips as published"]),
        ("smic-e", smic_e, ["SMIC-E HS: 157 clips as published"]),
    ],
)
def test_a_full_copy_is_called_that(name: str, write: Callable, told: list[str], tmp_path: Path) -> None:
    write(tmp_path)
    found = checks(read_dataset(name, [tmp_path]))
    assert [str(check) for check in found] == told
    assert all(check.matches and check.to_dict()["matches"] for check in found)


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        (
            "mmew",
            mmew,
            "MMEW: differs from the published numbers: 299 clips instead of 300, surprise 88 instead of 89;",
        ),
        ("dfme", dfme, "DFME testA: differs from the published numbers: 473 clips instead of 474;"),
        ("4dme", fourdme, "4DME micro: differs from the published numbers: 266 clips instead of 267;"),
        (
            "smic-e",
            smic_e,
            "SMIC-E HS: differs from the published numbers: 156 clips instead of 157, negative 65 instead",
        ),
    ],
)
def test_what_a_copy_lacks_is_told(name: str, write: Callable, told: str, tmp_path: Path) -> None:
    write(tmp_path, 1)
    (found,) = [check for check in checks(read_dataset(name, [tmp_path])) if not check.matches]
    assert str(found).startswith(told)
    assert found.to_dict()["differences"][0] in told


def test_the_numbers_are_of_what_is_annotated_whatever_the_classes(tmp_path: Path) -> None:
    mmew(tmp_path)
    reading = read_dataset("mmew", [tmp_path], class_map=ClassMap(7, one_sided_12="contempt"))
    assert [check.matches for check in checks(reading)] == [True]

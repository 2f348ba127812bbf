"""Small trees of our own making in the layouts of SMIC, CASME II and SAMM, with the quirks of the real ones.

Subjects, clips and numbers are invented. Every function says what a reader must find.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tests.helpers.dataset_rows import (
    CASME2_BROKEN,
    CASME2_ROWS,
    JUNK,
    SAMM_ROWS,
    SMIC_BROKEN,
    SMIC_CLIPS,
    ExpectedClip,
    SheetRow,
    SmicClip,
)
from tests.helpers.faces import moved, noisy, portrait
from tests.helpers.workbooks import Cell, Formula, write_workbook

Told = tuple[str, str]
"""(clip, or "" where the defect names none; a part of the reason)."""


@dataclass(frozen=True)
class Expected:
    """What a tree holds: all of its clips in the order of their ids, all warnings and all errors."""

    root: Path
    sheets: tuple[Path, ...]
    clips: tuple[ExpectedClip, ...]
    warnings: tuple[Told, ...]
    errors: tuple[Told, ...]

    def labelled(self) -> tuple[ExpectedClip, ...]:
        return tuple(clip for clip in self.clips if clip.label is not None)


def casme2_tree(
    root: Path, layout: str = "raw_selected", *, faces: bool = False, broken: bool = False, revised: bool = False
) -> Expected:
    """CASME II as raw_selected, raw or cropped. `revised`: a later sheet, its header lower, another column, subjects as
    numbers. `broken`: with rows and folders that cannot be used. `faces`: of a real face instead of grey noise."""
    rows = (*CASME2_ROWS, *(CASME2_BROKEN if broken else ()))
    table: list[list[Cell | Formula]] = [
        [
            "Subject",
            "Filename",
            None,
            "OnsetFrame",
            "ApexFrame",
            "OffsetFrame",
            None,
            "Action Units",
            "Estimated Emotion",
        ],
        *([r.subject, r.name, None, r.onset, r.apex, r.offset, None, r.units, r.emotion] for r in rows),
    ]
    if broken:
        table.append([None, "EP96_07f", None, 1, 2, 3, None, 4, "others"])
    if revised:
        table = [
            ["Coding, revised"],
            [],
            ["No", *table[0]],
            *([i, int(str(r[0])), *r[1:]] for i, r in enumerate(table[1:])),
        ]
    sheet = write_workbook(root / "CASME2-coding-20140508.xlsx", {"Sheet1": table, "Sheet2": [["notes"]]})
    archive = {"raw_selected": "CASME2_RAW_selected", "raw": "CASME2-RAW", "cropped": "Cropped"}[layout]
    name, margin = ("reg_img{}.jpg" if layout == "cropped" else "img{}.jpg"), (3 if layout == "raw" else 0)
    for index, row in enumerate(rows):
        if row.folder:
            folder = root / archive / archive / f"sub{row.subject}" / row.name
            write_pictures(folder, [name.format(number) for number in row.numbers(margin)], index, faces)
            if row.told == JUNK:
                write_pictures(folder, ["img30 (copy).jpg", name.format(31).replace("jpg", "png")], index, faces=False)
                for junk in ("img99.jpg", "Thumbs.db", "._img30.jpg"):
                    (folder / junk).touch()
    errors = _told(rows, "sub", "errors")
    if broken:
        write_pictures(root / archive / archive / "sub08" / "EP97_01f", ["img1.jpg"], 0, faces=False)
        errors += [("sub08/EP97_01f", "no row for this clip"), ("", "Subject: expected a number, found ''")]
    clips = [row.expected("casme2", f"sub{row.subject}", margin) for row in rows if not row.repeat]
    return Expected(root, (sheet,), in_order(clips), tuple(_told(rows, "sub", "told")), tuple(errors))


def samm_tree(root: Path, *, faces: bool = False, revised: bool = False) -> Expected:
    """SAMM, its header in row 14 below a legend. `revised`: header in row 1, subjects as numbers."""
    header: list[Cell | Formula] = [
        "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro",
        "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
    ]  # fmt: skip
    legend: list[list[Cell | Formula]] = (
        [] if revised else [["Micro movements"], ["Subject", "who"], *([] for _ in range(11))]
    )
    table = [*legend, header]
    for row in SAMM_ROWS:
        assert isinstance(row.onset, int) and isinstance(row.offset, int)
        place = len(table) + 1
        duration = Formula(f"F{place}-D{place}+1", row.offset - row.onset + 1)
        subject = int(row.subject) if revised else row.subject
        table.append([subject, row.name, int(row.name[4]), row.onset, row.apex, row.offset, duration, "Micro - 1/2",
                      row.units, row.emotion, 1, None])  # fmt: skip
    sheet = write_workbook(root / "SAMM_Micro_FACS_Codes_v2.xlsx", {"LEGEND": [["AU"]], "MICRO_ONLY": table})
    for index, row in enumerate(SAMM_ROWS):
        digits = 4 + index % 2
        names = [f"{row.subject}_{number:0{digits}d}.jpg" for number in row.numbers(0)]
        write_pictures(root / "SAMM" / row.subject / row.name, names, index, faces, grey=True)
    clips = [row.expected("samm", row.subject, 0) for row in SAMM_ROWS]
    return Expected(root, (sheet,), in_order(clips), tuple(_told(SAMM_ROWS, "", "told")), ())


def smic_tree(
    root: Path, layout: str = "raw", *, faces: bool = False, broken: bool = False, sheet: bool = True
) -> Expected:
    """SMIC as raw or cropped, beside clips without expressions and those of another camera. `sheet`: with the sheet of
    SMIC-E, cells of which are formulas; without it there are no onsets and no offsets."""
    rows = (*SMIC_CLIPS, *(SMIC_BROKEN if broken else ()))
    archive = root / ("SMIC_all_cropped" if layout == "cropped" else "SMIC") / "HS"
    name = "reg_image{}.bmp" if layout == "cropped" else "image{}.jpg"
    for index, row in enumerate(rows):
        if row.folder:
            folder = archive / row.name.split("_")[0] / "micro" / (row.under or row.label) / row.name
            write_pictures(folder, [name.format(f"{number:06d}") for number in row.numbers], index, faces)
    write_pictures(archive / "s7" / "non_micro" / "s7_non_micro_01", [name.format(10001)], 0, faces=False)
    write_pictures(
        archive.parent / "VIS" / "s7" / "micro" / "negative" / "s7_ne_01", [name.format(101)], 0, faces=False
    )
    warnings = [("", "a folder of the VIS or NIR camera")]
    clips = []
    for row in rows:
        if row.folder or (sheet and not any("already" in error for error in row.errors)):
            onset, offset = row.interval if sheet and row.interval else (None, None)
            numbers = row.numbers if row.folder and row.count else None
            clips.append(ExpectedClip(f"smic/{row.id}", row.label, onset, None, offset, numbers))
        told = row.told if sheet else tuple(reason for reason in row.told if "lies under" in reason)
        warnings += [(row.id.split("/")[1], reason) for reason in told]
    errors = [(row.id.split("/")[1], reason) for row in rows for reason in row.errors if sheet or row.folder]
    if not sheet:
        return Expected(
            root, (), in_order(clips), (*warnings, ("", "no sheet such as SMIC-HS-E_annotation.xlsx")), tuple(errors)
        )
    path = root / "SMIC-HS-E_annotation.xlsx"
    table = _smic_table(row for row in rows if row.times)
    if broken:
        table.append([99, "total", None, 1, 2])
        errors.append(("", "Filename: expected a name such as s1_ne_01, found 'total'"))
    write_workbook(path, {"VIS": [table[0], [7, "s7_ne_01", None, 1, 2]], "HS": table})
    return Expected(root, (path,), in_order(clips), tuple(warnings), tuple(errors))


def composite_tree(root: Path, *, faces: bool = False) -> Expected:
    """All three, each in its own folder below `root`."""
    parts = (
        smic_tree(root / "SMIC-data", faces=faces),
        casme2_tree(root / "CASME2-data", faces=faces),
        samm_tree(root / "SAMM-data", faces=faces),
    )
    return Expected(
        root,
        tuple(path for part in parts for path in part.sheets),
        in_order([clip for part in parts for clip in part.clips]),
        tuple(told for part in parts for told in part.warnings),
        tuple(told for part in parts for told in part.errors),
    )


def _smic_table(rows: Iterable[SmicClip]) -> list[list[Cell | Formula]]:
    """The sheet with Onset3F of the later copy; onsets and lengths are formulas, as the offsets of the first row are not."""
    table: list[list[Cell | Formula]] = [
        ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", "Onset3F", "Offset3F", None, "FirstF",
         "LastF", "TotalMF1", "TotalMF2", "TotalMF3", "TotalVL", "Emotion"]
    ]  # fmt: skip
    for row in rows:
        place = len(table) + 1
        first, last = row.first - 200, row.first + max(row.count, 1) + 199
        times: list[Cell | Formula] = [*row.times, *[None] * (6 - len(row.times))]
        times[0] = Formula(f"K{place}+{row.times[0] - first}", row.times[0])
        length = Formula(f"E{place}-D{place}+1", row.times[1] - row.times[0] + 1)
        person = int(row.name.split("_")[0][1:])
        emotion = Formula('CONCATENATE("","")', row.emotion or row.label)
        table.append([person, row.name, None, *times, None, first, last, length, None, None, last - first + 1, emotion])
    return table


def _told(rows: Sequence[SheetRow], before: str, what: str) -> list[Told]:
    return [(f"{before}{row.subject}/{row.name}", reason) for row in rows for reason in getattr(row, what)]


def in_order(clips: Iterable[ExpectedClip]) -> tuple[ExpectedClip, ...]:
    return tuple(sorted(clips, key=lambda clip: clip.id.casefold().split("/")))


def write_pictures(folder: Path, names: Sequence[str], seed: int, faces: bool, grey: bool = False) -> None:
    """Pictures under the given names: grey noise of 8×8, or the portrait (256×256) that drifts by a pixel or two."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    face = np.ascontiguousarray(portrait()[0:256, 96:352]) if faces else None
    for index, name in enumerate(names):
        if face is None:
            picture = rng.integers(60, 200, (8, 8), np.uint8)
        else:
            picture = noisy(moved(face, seed % 5 + np.sin(index / 3), seed % 3)[0], rng, 2.0)
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if grey else picture
        assert cv2.imwrite(str(folder / name), picture)

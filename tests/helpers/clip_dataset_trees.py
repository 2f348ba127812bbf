"""Small trees of our own making in the layouts of MMEW, DFME, 4DME, CASME and SMIC-E, with the quirks of the real ones.

Subjects, clips and numbers are invented. Every function says what a reader must find with three classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.dataset_rows import ExpectedClip
from tests.helpers.dataset_trees import Expected, Told, in_order, write_pictures
from tests.helpers.workbooks import Cell, Formula, write_workbook

Numbers = Sequence[int]


@dataclass(frozen=True)
class ClipRow:
    """A row of a sheet and what must come of it. `cells`: onset, apexes, offset. `expected`: onset, apex, offset as read.

    `disk`: its frames, none: no folder. `pictured`: they are of use. `read`: there is a clip of this row at all.
    """

    subject: str
    name: str
    cells: tuple[Cell, ...]
    units: Cell
    emotion: str
    label: str | None
    expected: tuple[int | None, int | None, int | None]
    disk: Numbers = ()
    codes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    extra: tuple[Cell, ...] = ()
    under: str = ""
    pictured: bool = True
    read: bool = True

    def clip(self, dataset: str) -> ExpectedClip:
        numbers = tuple(self.disk) if self.disk and self.pictured else None
        return ExpectedClip(f"{dataset}/{self.subject}/{self.name}", self.label, *self.expected, numbers, self.codes)


def mmew_tree(root: Path, *, subject_first: bool = False, broken: bool = False, faces: bool = False) -> Expected:
    """MMEW, below an emotion's folder or a subject's; macro-expressions beside it."""
    rows = (
        ClipRow("S71", "S71-01-001", (1, 5, 9), 12, "happiness", "positive", (1, 5, 9), range(1, 10), ("12",)),
        ClipRow("S71", "S71-06-002", (1, 4, 8), "1+2", "surprise", "surprise", (1, 4, 8), range(1, 9), ("1", "2")),
        ClipRow("S72", "S72-03-001", (1, 6, 11), "R14", "others", None, (1, 6, 11), range(1, 12), ("R14",),
                under="repression"),
        ClipRow("S72", "S72-03-012", (1, 6, 10), "4+7", "disgust", "negative", (1, 6, 10), range(1, 11), ("4", "7"),
                ("lies under fear, its row says disgust",), under="fear"),
        ClipRow("S73", "S73-04-001", (1, "/", 9), 15, "sadness", "negative", (1, None, 9), (1, 2, 3, 5, 6, 7, 8, 9),
                ("15",), ("Apex Frame: expected a frame number, found '/'", "1 of the 9 frames from onset 1")),
    )  # fmt: skip
    if broken:
        rows += (
            ClipRow("S74", "S74-05-001", (1, 5, 9), 4, "angr", None, (1, 5, 9), range(1, 10), ("4",),
                    errors=("Estimated Emotion: expected one of anger", )),
            ClipRow("S74", "S74-05-002", (5, 5, 1), 4, "anger", "negative", (None, None, None), range(1, 10), ("4",),
                    errors=("expected onset < offset, found 5 and 1",), pictured=False),
            ClipRow("S74", "S74-05-003", (1, 5, 9), 4, "anger", "negative", (1, 5, 9), (), ("4",),
                    errors=("no folder of frames for this row",)),
        )  # fmt: skip
    table: list[list[Cell | Formula]] = [
        ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion", "remarks"],
        *([int(r.subject[1:]), r.name, *r.cells, r.units, r.emotion, None] for r in rows),
    ]  # fmt: skip
    errors: list[Told] = []
    if broken:
        table += [[75, "S7501", 1, 2, 3, 4, "fear", None], [75, "S76-01-001", 1, 2, 3, 4, "fear", None]]
        errors += [("", "expected a name such as S01-01-001, found 'S7501'"), ("", "name different people")]
    sheet = write_workbook(root / "MMEW_Micro_Exp.xlsx", {"Sheet1": table})
    micro = root / "MMEW_Final" / "Micro_Expression"
    for index, row in enumerate(rows):
        if row.disk:
            emotion = row.under or row.emotion
            above = Path(row.subject, emotion) if subject_first else Path(emotion)
            _write(micro / above / row.name, row.disk, "{}.jpg", index, faces)
    _write(root / "MMEW_Final" / "Macro_Expression" / "S71" / "S71-01-001", (1, 2), "{}.jpg", 0)
    return _expected(root, "mmew", (sheet,), rows, errors)


def dfme_tree(root: Path, *, broken: bool = False, faces: bool = False) -> Expected:
    """DFME in its three parts, 0-based pictures of five digits; a copy of the training sheet lies there, too."""
    parts: Mapping[str, list[ClipRow]] = {
        "training": [
            ClipRow("sub0071", "sub0071_01", (0, 5, 12), "12", "happiness", "positive", (0, 5, 12), range(13), ("12",),
                    extra=(4, 500)),
            ClipRow("sub0071", "sub0071_02", (109, 114, 121), "L12", "contempt", "negative", (109, 114, 121),
                    range(100, 125), ("L12",), extra=(1, 300)),
            ClipRow("sub0072", "sub0072_11", (7, 11, 16), "1+2+5", "surprise", "surprise", (7, 11, 16), range(7, 17),
                    ("1", "2", "5"), extra=(6, 200)),
        ],
        "testA": [
            ClipRow("sub0501", "sub0501_01", (20, 24, 30), "4", "anger", "negative", (20, 24, 30), range(18, 33), ("4",),
                    extra=(0, 300)),
        ],
        "testB": [
            ClipRow("sub0601", "sub0601_03", (20, 25, 30), "15+17", "sadness", "negative", (20, 25, 30), range(18, 33),
                    ("15", "17"), ("Fps: expected one of 200, 300, 500, found 240",), extra=(5, 240)),
        ],
    }  # fmt: skip
    if broken:
        parts["training"] += [
            ClipRow("sub0072", "sub0072_12", (1, 4, 9), "4", "anger", None, (1, 4, 9), range(1, 10), ("4",),
                    errors=("Emotion 'anger', but EmotionId '3' is fear",), extra=(3, 200)),
            ClipRow("sub0072", "sub0072_13", (1, 4, 9), "4", "anger", None, (1, 4, 9), range(1, 10), ("4",),
                    errors=("Fps: expected one of 200, 300, 500, found ''",), extra=(0, None), read=False),
        ]  # fmt: skip
        parts["testA"] += [
            ClipRow("sub0071", "sub0071_01", (0, 5, 12), "12", "happiness", "positive", (0, 5, 12), range(13),
                    errors=("this clip is in row",),
                    extra=(4, 500), read=False),
        ]  # fmt: skip
    header = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion", "EmotionId", "Fps", "AU"]
    tables: dict[str, list[list[Cell | Formula]]] = {
        part: [list(header), *([r.subject, r.name, *r.cells, r.emotion, *r.extra, r.units] for r in rows)]
        for part, rows in parts.items()
    }
    sheets = [write_workbook(root / f"{part}_full_with_AU.xlsx", {"Sheet1": table}) for part, table in tables.items()]
    write_workbook(root / "copies" / "training_full_with_AU.xlsx", {"Sheet1": tables["training"]})
    for part, folder in (("training", "DFME_train"), ("testA", "DFME_testA"), ("testB", "DFME_testB")):
        for index, row in enumerate(parts[part]):
            if row.disk and (row.read or row.extra[1] is None):
                _write(root / folder / row.name, row.disk, "{:05d}.png", index, faces)
    rows = tuple(row for part in parts.values() for row in part)
    found = _expected(root, "dfme", sorted(sheets, key=lambda path: path.name), rows)
    return Expected(root, found.sheets, found.clips, (*found.warnings, ("", "all of its clips are in")), found.errors)


def fourdme_tree(root: Path, *, faces: bool = False) -> Expected:
    """4DME: grey pictures beside coloured ones, several emotions a clip, a subject whose zero the sheet has lost."""
    several = "several emotions that are not all of one class"
    rows = (
        ClipRow("1", "m1", (12, 18, 30), "12", "Positive", "positive", (12, 18, 30), range(10, 32), ("12",)),
        ClipRow("1", "m2", (40, 48, 60), "1+2+12", "Surprise+Positive", None, (40, 48, 60), range(40, 61),
                ("1", "2", "12"), (several,)),
        ClipRow("sub_b", "a_1", (5, 9, 14), "4", "Negative+Repression", "negative", (5, 9, 14), range(5, 15), ("4",)),
        ClipRow("sub_b", "a_2", (5, 9, 14), "14", "Others", None, (5, 9, 14), range(5, 15), ("14",)),
        ClipRow("sub_b", "a_3", (5, 9, 14), "5", "surprise", "surprise", (5, 9, 14), range(5, 15), ("5",)),
    )  # fmt: skip
    table: list[list[Cell | Formula]] = [
        ["sub_ID", "fold_name", "Onset", "Apex", "Offset", "AUs", "Emotion", "Remarks"],
        *([int(r.subject) if r.subject.isdigit() else r.subject, r.name, *r.cells, r.units, r.emotion, None] for r in rows),
    ]  # fmt: skip
    sheet = write_workbook(root / "4DME_Labelling_Micro_release v1.xlsx", {"Sheet1": table})
    for index, row in enumerate(rows):
        subject = f"{int(row.subject):02d}" if row.subject.isdigit() else row.subject
        _write(root / "gray_micro" / subject / row.name, row.disk, "{}.jpg", index, faces)
    _write(root / "rgb_micro" / "01" / "m1", (1, 2), "{}.jpg", 0)
    found = _expected(root, "4dme", (sheet,), rows)
    return Expected(root, found.sheets, found.clips, (*found.warnings, ("", "not named like a clip of 4DME")), ())


def casme_tree(root: Path, *, sections: bool = False, broken: bool = False, faces: bool = False) -> Expected:
    """CASME, selected or as its two sections; numbers padded to two or more digits, a second apex, names used twice."""
    margin = 3 if sections else 0
    rows = (
        ClipRow("sub07", "EP91_1", (95, 99, 0, 104), 4, "disgust", "negative", (95, 99, 104), range(95 - margin, 105 + margin),
                ("4",)),
        ClipRow("sub07", "EP91_2", (6, 0, 9, 14), "17", "repression", "negative", (6, 9, 14), range(6 - margin, 15 + margin),
                ("17",), ("ApexF1 is '0': ApexF2, 9, is taken",)),
        ClipRow("sub07", "EP92_3", (30, 36, 40, 44), "14", "tense", None, (30, 36, 44), range(30 - margin, 45 + margin), ("14",)),
        ClipRow("sub12", "EP91_1", (5, 8, 0, 14), "6+12", "happiness", "positive", (5, 8, 14), range(5 - margin, 15 + margin),
                ("6", "12")),
        ClipRow("sub12", "EP95_4", (50, 70, 80, 62), "1+2", "surprise", "surprise", (50, None, 62),
                range(50 - margin, 63 + margin), ("1", "2"), ("apex 70 outside 50 to 62",)),
    )  # fmt: skip
    if broken:
        rows += (
            ClipRow("sub12", "EP97_1", ("a", 8, 0, 14), "12", "happiness", "positive", (None, None, None), (), ("12",),
                    errors=("Onset Frame: expected a frame number, found 'a'", "no folder of frames")),
        )  # fmt: skip
    table: list[list[Cell | Formula]] = [
        ["Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "Duration", "AUs", None, "Emotion"],
        *([int(r.subject[3:]), r.name, None, *r.cells, None, None, r.units, None, r.emotion] for r in rows),
    ]  # fmt: skip
    sheet = write_workbook(root / "CASME.xlsx", {"Sheet1": table})
    for index, row in enumerate(rows):
        digits = 2 + index % 3
        if row.disk and sections:
            letter = "A" if row.subject == "sub07" else "B"
            folder = root / f"CASME_{letter}" / f"Section {letter}" / row.subject / row.name
            _write(folder, row.disk, f"img{{:0{digits}d}}.jpg", index, faces)
        elif row.disk:
            folder = root / "CASME_raw_selected" / row.subject / row.name
            _write(folder, row.disk, f"{row.name}-{{:0{digits}d}}.jpg", index, faces)
    return _expected(root, "casme", (sheet,), rows)


_SMIC_E_RATES_HZ = {"hs": 100, "vis": 25, "nir": 25}


@dataclass(frozen=True)
class Take:
    """A take of SMIC-E. `times`: OnsetF, OffsetF, Onset2F … ; `intervals`: those of use. `disk`: numbers as they lie there,
    `shift` from those to the camera's. `read`: it has a row."""

    name: str
    id: str
    first: int
    last: int
    times: tuple[int, ...]
    intervals: tuple[tuple[int, int], ...]
    disk: Numbers
    shift: int
    told: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    row: bool = True

    @property
    def label(self) -> str:
        return {"ne": "negative", "po": "positive", "sur": "surprise"}[self.name.split("_")[1]]

    @property
    def numbers(self) -> tuple[int, ...] | None:
        return tuple(number + self.shift for number in self.disk) if self.disk and self.intervals else None


def smic_e_takes(camera: str, broken: bool = False) -> tuple[Take, ...]:
    """What lies in `smic_e_tree` of a camera."""
    takes = (
        Take("s7_ne_01", "s07/s07_ne_01", 14301, 14340, (14310, 14318), ((14310, 14318),), range(1, 41), 14300),
        Take("s7_po_02", "s07/s07_po_02", 501, 540, (505, 513, 522, 530, 9, 3), ((505, 513), (522, 530)), range(1, 41),
             500, ("Onset3F, Offset3F: expected onset < offset",)),
        Take("s8_sur_01", "s08/s08_sur_01", 7001, 7030, (7005, 7016), ((7005, 7016),), range(7001, 7031), 0),
        Take("s8_ne_04", "s08/s08_ne_04", 1, 30, (5, 16), ((5, 16),), [n for n in range(1, 31) if n != 9], 0,
             ("1 of the 12 frames from onset 5 to offset 16 are missing (9)",)),
    )  # fmt: skip
    if broken:
        takes += (
            Take("s8_po_01", "s08/s08_po_01", 100, 130, (90, 210), (), range(1, 32), 99,
                 ("OnsetF, OffsetF: expected onset < offset within 100 to 130",), ("no usable onset and offset",)),
            Take("s8_po_02", "s08/s08_po_02", 100, 130, (105, 112), ((105, 112),), (), 99, (), ("no folder of frames",)),
            Take("s8_po_03", "s08/s08_po_03", 100, 130, (), (), range(1, 32), 99, (), ("no row for this take",), row=False),
        )  # fmt: skip
    return takes if camera == "hs" else takes[:2]


def smic_e_tree(root: Path, camera: str = "hs", *, broken: bool = False, faces: bool = False) -> Expected:
    """SMIC-E with all its cameras, and what must be found of one. Onsets are formulas; `broken` are takes of HS alone."""
    sheets: dict[str, Path] = {}
    for name in _SMIC_E_RATES_HZ:
        table: list[list[Cell | Formula]] = [
            ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", "Onset3F", "Offset3F", None, "FirstF",
             "LastF", "TotalMF1", "TotalVL", "Emotion"]
        ]  # fmt: skip
        upper = name.upper()
        for index, take in enumerate(smic_e_takes(name, broken)):
            folder = root / "SMIC-E_raw image" / f"{upper}_long" / f"SMIC-{upper}-E" / take.id.split("/")[0]
            if take.disk:
                _write(folder / take.id.split("/")[1], take.disk, "image{:06d}.jpg", index, faces and name == camera)
            if take.row:
                times: list[Cell | Formula] = [*take.times, *[None] * (6 - len(take.times))]
                times[0] = Formula(f"K{len(table) + 1}+{take.times[0] - take.first}", take.times[0])
                person = int(take.name.split("_")[0][1:])
                table.append([person, take.name, None, *times, None, take.first, take.last, None, None, take.label])
        sheets[name] = write_workbook(root / f"SMIC-{upper}-E_annotation.xlsx", {upper: table})
    takes = smic_e_takes(camera, broken)
    clips = []
    for take in (take for take in takes if take.row):
        onset, offset = take.intervals[0] if take.intervals else (None, None)
        clips.append(ExpectedClip(f"smic-e/{take.id}", take.label, onset, None, offset, take.numbers))
    told = [(take.id.split("/")[1], reason) for take in takes for reason in take.told]
    errors = [(take.id.split("/")[1], reason) for take in takes for reason in take.errors]
    if camera == "hs":
        count = f"hs ({len([take for take in takes if take.disk])} clips), vis (2 clips), nir (2 clips)"
        told.append(("", f"several layouts: {count}; hs is read"))
    return Expected(root, (sheets[camera],), in_order(clips), tuple(told), tuple(errors))


TREES = {"mmew": mmew_tree, "dfme": dfme_tree, "4dme": fourdme_tree, "casme": casme_tree, "smic-e": smic_e_tree}


def _expected(
    root: Path, dataset: str, sheets: Sequence[Path], rows: Sequence[ClipRow], errors: Sequence[Told] = ()
) -> Expected:
    told = [(f"{row.subject}/{row.name}", reason) for row in rows for reason in row.told]
    wrong = [(f"{row.subject}/{row.name}", reason) for row in rows for reason in row.errors]
    clips = in_order([row.clip(dataset) for row in rows if row.read])
    return Expected(root, tuple(sheets), clips, tuple(told), (*errors, *wrong))


def _write(folder: Path, numbers: Numbers, name: str, seed: int, faces: bool = False) -> None:
    write_pictures(folder, [name.format(number) for number in numbers], seed, faces)

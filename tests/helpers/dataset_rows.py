"""What lies in the trees of `tests.helpers.dataset_trees`: rows and clips of our own making, and what must come of each."""

from dataclasses import dataclass

from tests.helpers.workbooks import Cell


@dataclass(frozen=True)
class ExpectedClip:
    """`numbers`: its frames in order, None where the reader must give no pictures."""

    id: str
    label: str | None
    onset: int | None
    apex: int | None
    offset: int | None
    numbers: tuple[int, ...] | None
    action_units: tuple[str, ...] = ()


@dataclass(frozen=True)
class SheetRow:
    """A row of CASME II or SAMM and what must come of it.

    `disk`: its frames, None for those from onset to offset and the layout's margin. `timed`: onset and offset are
    usable; `apex_kept`: the apex is. `repeat`: an earlier row is used instead.
    """

    subject: str
    name: str
    onset: Cell
    apex: Cell
    offset: Cell
    units: Cell
    emotion: str
    label: str | None
    codes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    disk: tuple[int, ...] | None = None
    folder: bool = True
    timed: bool = True
    apex_kept: bool = True
    repeat: bool = False

    def numbers(self, margin: int) -> tuple[int, ...]:
        if self.disk is not None:
            return self.disk
        assert isinstance(self.onset, int) and isinstance(self.offset, int)
        return tuple(range(self.onset - margin, self.offset + margin + 1))

    def expected(self, dataset: str, subject: str, margin: int) -> ExpectedClip:
        numbers = self.numbers(margin) if self.folder and self.timed else ()
        onset, apex, offset = (
            value if isinstance(value, int) and self.timed else None for value in (self.onset, self.apex, self.offset)
        )
        usable = (
            any(onset <= number <= offset for number in numbers) if onset is not None and offset is not None else False
        )
        return ExpectedClip(
            f"{dataset}/{subject}/{self.name}",
            self.label,
            onset,
            apex if self.apex_kept else None,
            offset,
            numbers if usable else None,
            self.codes,
        )


JUNK = ("img30 (copy).jpg: no frame number", "img99.jpg: empty", "img31.png: the same frame number")
CASME2_ROWS = (
    SheetRow("03", "EP91_01f", 46, 52, 57, "4+L10", "disgust", "negative", ("4", "L10")),
    SheetRow("03", "EP91_02_01", 97, 101, 106, 4, "repression", "negative", ("4",)),
    SheetRow("03", "EP92f", 5, 9, 13, 12, "happiness ", "positive", ("12",)),
    SheetRow("05", "EP91_01f", 20, 26, 31, "1+2", "surprise", "surprise", ("1", "2")),
    SheetRow("05", "EP93_04f", 5, "/", 14, "4", "disgust", None, ("4",),
         ("Apex Frame: expected a frame number, found '/'", "no apex above the onset 5")),
    SheetRow("05", "EP93_05f", 7, 7, 16, 12, "happiness", None, ("12",),
         ("no apex above the onset 7", "apex 7 equals the onset")),
    SheetRow("05", "EP96_01f", 12, 18, 23, "4+7", "disgust", "negative", ("4", "7")),
    SheetRow("08", "EP94_01", 60, 69, 69, "?", "others", None, (), ("apex 69 equals the offset", "left out ?")),
    SheetRow("08", "EP95_02f", 30, 36, 41, "R12", "happiness", "positive", ("R12",), JUNK),
    SheetRow("08", "EP95_03f", 30, 35, 40, 17, "sadness", None, ("17",)),
    SheetRow("08", "EP95_04f", 30, 34, 40, "5+26", "surprise", "surprise", ("5", "26"),
         ("2 of the 11 frames from onset 30 to offset 40 are missing (37, 40)",),
         disk=(30, 31, 32, 33, 34, 35, 36, 38, 39)),
    SheetRow("08", "EP95_05f", 10, 15, 20, 20, "fear", None, ("20",)),
)  # fmt: skip
CASME2_BROKEN = (
    SheetRow("03", "EP91_01f", 60, 65, 70, 4, "disgust", "negative", errors=("this clip is in row 2 already",),
         folder=False, repeat=True),
    SheetRow("05", "EP93_06f", "x", 8, 12, 4, "disgust", None, ("4",), ("no apex above the onset x",),
         ("Onset Frame: expected a frame number, found 'x'",), disk=(1, 2, 3), timed=False),
    SheetRow("08", "EP96_02f", 20, 25, 18, 4, "disgust", "negative", ("4",),
         errors=("expected onset < offset, found 20 and 18",), disk=(18, 19, 20), timed=False),
    SheetRow("08", "EP96_03f", 20, 25, 30, 12, "hapiness", None, ("12",), errors=("found 'hapiness'",)),
    SheetRow("08", "EP96_04f", 20, 25, 30, 4, "disgust", "negative", ("4",),
         errors=("no folder of frames for this row",), folder=False),
    SheetRow("08", "EP96_05f", 20, 25, 22, 4, "others", None, ("4",), ("apex 25 outside 20 to 22",),
         ("the clip's folder holds no frames",), disk=(), apex_kept=False),
    SheetRow("08", "EP96_06f", 20, 25, 30, 4, "disgust", "negative", ("4",),
         errors=("no frame between onset 20 and offset 30: on the disk are 1 to 3",), disk=(1, 2, 3)),
)  # fmt: skip
SAMM_ROWS = (
    SheetRow("041", "041_1_2", 9996, 10001, 10006, "12+15 ", "Happiness", "positive", ("12", "15")),
    SheetRow("041", "041_2_1", 512, 517, 523, "(R6 or R12)+R15", "Anger", "negative", ("R6|R12", "R15")),
    SheetRow("041", "041_2_3", 600, 594, 611, "L12 or L14", "Contempt", "negative", ("L12|L14",),
         ("apex 594 outside 600 to 611",), apex_kept=False),
    SheetRow("042", "042_1_1", 80, 95, 90, "4A/B", "Disgust", "negative", ("4A/B",), ("apex 95 outside 80 to 90",),
         apex_kept=False),
    SheetRow("042", "042_3_1", 1200, 1205, 1210, "A1B+A2C", "Surprise", "surprise", ("A1B", "A2C")),
    SheetRow("042", "042_3_2", 1300, 1306, 1312, "ref(7B)+43C", "Fear", "negative", ("7B", "43C"), ("left out ref",)),
    SheetRow("043", "043_1_1", 700, 704, 710, 17, "Other", None, ("17",)),
    SheetRow("044", "044_1_1", 20, 25, 30, "R14+17+soft focus", "Sadness", "negative", ("R14", "17"),
         ("left out soft focus",)),
    SheetRow("044", "044_1_3", 40, 46, 52, 12, "Happiness", "positive", ("12",)),
)  # fmt: skip


@dataclass(frozen=True)
class SmicClip:
    """`times`: OnsetF, OffsetF, Onset2F ... as far as there are; none: no row. `interval`: what must be taken of them."""

    name: str
    id: str
    first: int
    count: int
    times: tuple[int, ...]
    interval: tuple[int, int] | None
    told: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    emotion: str | None = None
    under: str | None = None
    folder: bool = True

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.first + self.count))

    @property
    def label(self) -> str:
        return {"ne": "negative", "po": "positive", "sur": "surprise"}[self.name.split("_")[1]]


SMIC_CLIPS = (
    SmicClip("s7_ne_01", "s07/s07_ne_01", 14351, 9, (14351, 14359), (14351, 14359)),
    SmicClip("s7_ne_02", "s07/s07_ne_02", 999996, 9, (), None, ("not in the sheet",)),
    SmicClip("s7_po_01", "s07/s07_po_01", 20015, 8, (20015, 20022, 20015, 20022, 3, 2), (20015, 20022),
              ("Onset2F, Offset2F: the same as before", "Onset3F, Offset3F: expected onset < offset")),
    SmicClip("s10_ne_1", "s10/s10_ne_01", 41200, 10, (14200, 41209), None,
              ("expected onset < offset within 41000 to 41409, found 14200 and 41209", "no usable onset and offset")),
    SmicClip("s10_sur_03", "s10/s10_sur_03", 31100, 8, (31100, 31107), (31100, 31107),
              ("Emotion 'negative', the clip's name says surprise",), emotion="negative"),
    SmicClip("s16_po_02", "s16/s16_po_02", 10451200, 9, (10451190, 10451201, 10451201, 10451208),
              (10451201, 10451208)),
    SmicClip("s16_sur_01", "s16/s16_sur_01", 52000, 8, (52000, 52007), (52000, 52007),
              ("lies under positive, its name says surprise",), under="positive"),
)  # fmt: skip
SMIC_BROKEN = (
    SmicClip("s7_ne_01", "s07/s07_ne_01", 60000, 0, (60000, 60010), None, (), ("this clip is in row 2 already",),
              folder=False),
    SmicClip("s7_sur_04", "s07/s07_sur_04", 70000, 0, (70000, 70010), (70000, 70010), (),
              ("the clip's folder holds no frames",)),
    SmicClip("s16_ne_09", "s16/s16_ne_09", 80000, 0, (80000, 80010), (80000, 80010), (),
              ("no folder of frames for this row",), folder=False),
)  # fmt: skip

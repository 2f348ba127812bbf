"""Trees of long videos with every quirk of the real ones planted, and what a reader must make of each. All of it is invented."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.dataset_trees import Told
from tests.helpers.long_video_trees import (
    CASME3_C_HEADER,
    CASME3_LABEL_HEADER,
    MadeVideo,
    Rows,
    casme2_long_sheets,
    casme3_sheets,
    samm_long_sheets,
    samm_micro_sheets,
    write_sheet,
    write_video_pictures,
)

Event = tuple[str, int, int | None, int, str, str | None, tuple[str, ...]]
"""Kind, onset, apex, offset, emotion, class, action units."""


@dataclass(frozen=True)
class ExpectedVideos:
    """`videos`: by id, the numbers of their pictures (None: no pictures) and their events, in the order of the ids. Of what is
    told (video or "", part of the reason) `mended` are those warnings that --strict refuses."""

    root: Path
    sheets: tuple[Path, ...]
    videos: dict[str, tuple[Sequence[int] | None, list[Event]]]
    warnings: tuple[Told, ...]
    mended: tuple[Told, ...]
    errors: tuple[Told, ...]


def casme2_long_quirks(root: Path, sheet: str = "CAS(ME)^2code_final.xlsx", header: bool = False) -> ExpectedVideos:
    """CAS(ME)²: nested archive, stray copies, words misspelt, padding that grows, codes that lost their zero, offsets of 0.
    `header`: somebody has put a header row above."""
    raw = root / "rawpic" / "rawpic"
    for person, name, numbers in (
        ("s15", "15_0101disgustingteeth", range(1, 60)),
        ("s15", "15_0502happyferoal", range(990, 1011)),
        ("s16", "16_0101disgustingteech", range(1, 40)),
        ("s16", "15_0101disgustingteeth", range(1, 60)),
        ("s25", "24_0507hapydog", range(1, 30)),
        ("s40", "40_0508unseen", range(1, 12)),
    ):
        write_video_pictures(raw / person / name, MadeVideo(person, name, numbers))
    cut = MadeVideo("s15", "15_0101", range(3, 6))
    write_video_pictures(root / "selectedpic" / "s15" / "15_0101disgustingteeth", cut)
    macro, micro = "macro-expression", "micro-expression"
    rows: Rows = [
        [1, "disgust1_1", 3, 7, 12, "4+7", "negative", micro, "disgust"],
        [1, "disgust1_2", 20, 26, 0, 4, "negative", macro, "disgust"],
        [1, "disgust1_3", 20, 22, 27, "12", "positive", micro, "happiness"],
        [1, "disgust1_4", 40, 0, 44, "1", "surprise", macro, "surprise"],
        [1, "disgust1_5", 46, 52, 50, "?", "others", macro, "x"],
        [1, "disgust1_6", 3, 7, 12, "4", "negative", micro, "disgust"],
        [1, "happy1_1", 992, 996, 1003, "6+12", "positive", macro, "happiness"],
        [1, "happy1_2", 1006, 1008, 1015, "12", "positive", macro, "happiness"],
        [2, "disgust1_1", "x", 5, 9, "4", "negative", macro, "disgust"],
        [2, "disgust1_2", 30, 28, 20, "4", "negative", macro, "disgust"],
        [2, "disgust1_3", 70, 75, 80, "4", "negative", macro, "disgust"],
        [8, "happy4_1", 5, 9, 14, "12", "positive", micro, "happiness"],
        [22, "anger2_1", 5, 9, 14, "4", "negative", macro, "anger"],
        [23, "anger2_1", 5, 9, 14, "4", "negative", macro, "anger"],
        [2, "boredom1_1", 5, 9, 14, "4", "negative", macro, "anger"],
        [2, "disgust1_4", 5, 9, 14, "4", "negative", "mini-expression", "anger"],
    ]
    names = ["subject", "video", "onset", "apex", "offset", "AU", "emotion", "type", "self-report"]
    sheets = casme2_long_sheets([list(names), *rows] if header else rows)
    sheets["naming rule2"] = [[int(str(code)), stimulus] for code, stimulus in sheets["naming rule2"]]
    path = write_sheet(root / "deep" / sheet, sheets)
    return ExpectedVideos(
        root,
        (path,),
        {
            "casme2-long/s15/15_0101": (range(1, 60), [
                ("micro", 3, 7, 12, "negative", "negative", ("4", "7")),
                ("micro", 20, 22, 27, "positive", "positive", ("12",)),
                ("macro", 20, 26, 32, "negative", "negative", ("4",)),
                ("macro", 40, None, 44, "surprise", "surprise", ("1",)),
                ("macro", 46, None, 50, "others", None, ()),
            ]),
            "casme2-long/s15/15_0502": (range(990, 1011), [
                ("macro", 992, 996, 1003, "positive", "positive", ("6", "12")),
                ("macro", 1006, 1008, 1010, "positive", "positive", ("12",)),
            ]),
            "casme2-long/s16/16_0101": (range(1, 40), []),
            "casme2-long/s24/24_0507": (range(1, 30), [("micro", 5, 9, 14, "positive", "positive", ("12",))]),
            "casme2-long/s40/40_0402": (None, [("macro", 5, 9, 14, "negative", "negative", ("4",))]),
            "casme2-long/s40/40_0508": (range(1, 12), []),
        },
        (
            ("s15/15_0101", "lies under s16, its name says s15: the name counts"),
            ("s24/24_0507", "lies under s25, its name says s24: the name counts"),
            ("s15/15_0101", f"another copy of {raw}/s15/15_0101disgustingteeth: one of each is used"),
            ("s15/15_0101", "apex 0 outside 40 to 44: no apex taken"),
            ("s15/15_0101", "apex 52 outside 46 to 50: no apex taken"),
            ("s15/15_0101", "action units '?': left out ?"),
            ("s15/15_0101", "overlaps an event before it in the video: both are kept"),
        ),
        (
            ("s15/15_0101", "offset 0: as far after the apex as the onset is before it, 32"),
            ("s15/15_0502", "offset 1015 lies past the end of the video; 1010 taken"),
        ),
        (
            ("s15/15_0101", f"the same event as in row {2 if header else 1}; that row is used"),
            ("s16/16_0101", "expected frame numbers, the onset not after the offset, found 'x' and '9'"),
            ("s16/16_0101", "expected frame numbers, the onset not after the offset, found '30' and '20'"),
            ("s16/16_0101", "70 to 80 lies outside the video, 1 to 39"),
            ("s40/40_0402", "no folder of pictures for this video"),
            ("", "subject: expected a number from 1 to 22, found '23'"),
            ("", "video: expected a stimulus such as anger1_1, found 'boredom1_1'"),
            ("s16/16_0101", "expected macro-expression or micro-expression, found 'mini-expression'"),
        ),
    )  # fmt: skip


def samm_long_quirks(root: Path, version: int = 2, header_row: int = 10, numbers: bool = False) -> ExpectedVideos:
    """SAMM Long Videos: parts of frames, onsets of 0, offsets past the end, a name that occurs twice, no apex, two paddings,
    emotions in another sheet. `numbers`: subjects as numbers, as a stripped copy has them."""
    for video, digits, last in (("041_1", 4, 80), ("041_2", 5, 60), ("042_1", 5, 12), ("043_7", 4, 10)):
        made = MadeVideo(video.split("_")[0], video, range(1, last + 1))
        write_video_pictures(root / "SAMM_longvideos" / video, made, name=f"{video}_{{:0{digits}d}}.jpg")
    rows: Rows = [
        ["041", "041_1_1", 1, 0, 12, 20, 21, "Macro", "4+7", None],
        ["041", "041_1_2", 1, 30.5, 34.25, 40.5, 11, "Micro - 1/2", "L12", "half"],
        ["041", "041_1_3", 1, 50, -1, 95, 46, "Macro", "A1B+2", None],
        ["041", "041_2_1", 2, 5, 8, 12, 8, "Micro - 1/2", "R14", None],
        ["041", "041_2_1", 2, 30, 34, 40, 11, "Micro - 1/2", "R14", None],
        ["041", "041_2_9", 2, 50, 54, 58, 9, "Micro", "4", None],
        ["042", "042_1_1", 1, 20, 25, 30, 11, "Macro", "4", None],
        ["042", "041_1_7", 1, 20, 25, 30, 11, "Macro", "4", None],
        ["042", "total", 1, 20, 25, 30, 11, "Macro", "4", None],
        ["042", "042_1_2", 1, 2, 5, 8, 7, "Both", "4", None],
    ]
    if numbers:
        rows = [[int(str(row[0])), *row[1:]] for row in rows]
    path = write_sheet(root / f"SAMM_LongVideos_V{version}_Release.xlsx", samm_long_sheets(rows, header_row))
    micro = [("041", "041_1_2", 31, 34, 41, "Happiness"), ("041", "041_2_1", 30, 34, 40, "Contempt")]
    emotions = write_sheet(root / "SAMM_Micro_FACS_Codes_v2.xlsx", samm_micro_sheets(micro))
    return ExpectedVideos(
        root,
        (path, emotions),
        {
            "samm-long/041/041_1": (range(1, 81), [
                ("macro", 1, 12, 20, "", None, ("4", "7")),
                ("micro", 31, 34, 41, "Happiness", "positive", ("L12",)),
                ("macro", 50, None, 80, "", None, ("A1B", "2")),
            ]),
            "samm-long/041/041_2": (range(1, 61), [
                ("micro", 5, 8, 12, "", None, ("R14",)),
                ("micro", 30, 34, 40, "Contempt", "negative", ("R14",)),
                ("micro", 50, 54, 58, "", None, ("4",)),
            ]),
            "samm-long/042/042_1": (range(1, 13), []),
            "samm-long/043/043_7": (range(1, 11), []),
        },
        (("041_2_1", "no row for this micro-expression in SAMM_Micro_FACS_Codes_v2.xlsx: without emotion, in no class (2 rows"),),
        (
            ("041/041_1", "onset 0: already under way when the video begins; 1 taken"),
            ("041/041_1", "onset 30.5: a part of a frame; 31 taken"),
            ("041/041_1", "apex 34.25: a part of a frame; 34 taken"),
            ("041/041_1", "offset 40.5: a part of a frame; 41 taken"),
            ("041/041_1", "offset 95 lies past the end of the video; 80 taken"),
        ),
        (
            ("042/042_1", "20 to 30 lies outside the video, 1 to 12"),
            ("", "Subject 42" if numbers else "Subject 042"),
            ("", "Filename: expected a name such as 006_1_2, found 'total'"),
            ("042_1_2", "Type: expected Macro or Micro, found 'Both'"),
        ),
    )  # fmt: skip


def casme3_quirks(root: Path) -> ExpectedVideos:
    """CAS(ME)³ part A: camera numbers with gaps, letters in either case, apex = onset, long ones, stray prefixes and full-width
    commas, empty pictures, depth, blinks, another sheet that disagrees."""
    color = [*range(1290, 1310), *range(1313, 1330)]
    top = root / "part_A" / "part_A_split"
    for person, letter, numbers in (
        ("spNO.7", "b", color),
        ("spNO.7", "c", range(400, 440)),
        ("spNO.12", "a", range(5, 9)),
    ):
        for kind in ("color", "depth"):
            name = "{}.jpg" if kind == "color" else "{}.png"
            write_video_pictures(top / person / letter / kind, MadeVideo(person, letter, numbers), name=name)
    for name in ("1321.jpg", "1322.jpg"):
        (top / "spNO.7" / "b" / "color" / name).write_bytes(b"")
    rows: Rows = [
        ["spNO.7", "b", 1294, 1297, 1301, "AU4，AU7", "Micro-expression", "IV"],
        ["spNO.7", "B", 1299, 1299, 1306, "4+AU 7", "Micro-expression", "IV"],
        ["spNO.7", "b", 1315, 1320, 1340, "12", "Macro-expression", "I"],
        ["spNO.7", "b", 1310, 1311, 1312, "12", "Micro-expression", "I"],
        ["spNO.7", "c", 402, 410, 437, "1+2", "Micro-expression", "II"],
        ["spNO.7", "c", 390, 395, 401, "L12、6", "Macro-expression", "I"],
        ["spNO.7", "nn", 402, 410, 437, "1", "Micro-expression", "II"],
        ["nobody", "c", 402, 410, 437, "1", "Micro-expression", "II"],
        ["spNO.7", "c", 405, 410, 437, "1", "", "II"],
        ["spNO.7", "c", 425, 428, 431, "9", "Micro-expression", "IV"],
        ["spNO.7", "c", 411, 412, 414, "5", "Micro-expression", "II"],
    ]
    labels: Rows = [
        ["spNO.7", "b", 1294, 1297, 1301, "4+7", "IV", "disgust"],
        ["spNO.7", "b", 1299, 1300, 1306, "4+7", "IV", "Others"],
        ["spNO.7", "b", 1310, 1311, 1312, "12", "I", "happy"],
        ["spNO.7", "c", 402, 410, 437, "1+2", "II", "surprise"],
        ["spNO.7", "c", 425, 428, 431, "9", "IV", "bored"],
        ["spNO.12", "a", 5, 6, 7, "9", "IV", "sad"],
        ["spNO.7", "c", 402, 410, 437, "1+2", "II", "surprise"],
    ]
    blinks: Rows = [["spNO.7", "b", 1292, 1293, 1295], ["spNO.12", "a", 5, 6, 7], ["spNO.12", "a", 6, 7, 8]]
    path = write_sheet(root / "annotation" / "CAS(ME)3_part_A_v2.xls", casme3_sheets(rows, blinks))
    index = root / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    write_sheet(index, {"label": [list(CASME3_LABEL_HEADER), *labels]})
    pictures = [number for number in color if number not in (1321, 1322)]
    return ExpectedVideos(
        root,
        (path, index),
        {
            "casme3/spNO.12/a": (range(5, 9), []),
            "casme3/spNO.7/b": (pictures, [
                ("micro", 1294, 1297, 1301, "disgust", "negative", ("4", "7")),
                ("micro", 1299, 1299, 1306, "Others", None, ("4", "7")),
                ("macro", 1315, 1320, 1329, "", None, ("12",)),
            ]),
            "casme3/spNO.7/c": (range(400, 440), [
                ("macro", 400, None, 401, "", None, ("L12", "6")),
                ("micro", 402, 410, 437, "surprise", "surprise", ("1", "2")),
                ("micro", 411, 412, 414, "", None, ("5",)),
                ("micro", 425, 428, 431, "bored", None, ("9",)),
            ]),
        },
        (
            ("", "Filename: a letter in another case, taken for the same video"),
            ("", "no row for this micro-expression in cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx: without emotion"),
            ("", "apex or offset differ from cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx: those here are used"),
            ("", "no such micro-expression in CAS(ME)3_part_A_v2.xls: not used"),
            ("spNO.7/c", "the same subject, video and onset as in row 5; that row is used"),
            ("spNO.7/b", "apex 1299 equals the onset"),
            ("spNO.7/b", "1321.jpg, 1322.jpg: empty or unreadable files; passed over"),
            ("spNO.7/c", "apex 395 outside 400 to 401: no apex taken"),
            ("spNO.7/b", "overlaps an event before it in the video: both are kept (in 3 rows, this the first)"),
            ("spNO.7/c", "emotion 'bored' is none that is known: in none of the classes"),
            ("", "sheet 'eye blink': 3 eye blinks of 2 subjects; they are no events and are not scored"),
            ("", "5 frame numbers are missing in 1 videos (most: spNO.7/b 5); frames are found by number"),
        ),
        (
            ("spNO.7/b", "offset 1340 lies past the end of the video; 1329 taken"),
            ("spNO.7/c", "onset 390: already under way when the video begins; 400 taken"),
        ),
        (
            ("spNO.7/b", "no picture from onset 1310 to offset 1312"),
            ("", "Filename: expected a letter, found 'nn'"),
            ("", "Subject: expected one such as spNO.138, found 'nobody'"),
            ("spNO.7/c", "Expression type: expected Macro-expression or Micro-expression, found ''"),
        ),
    )  # fmt: skip


def casme3_c_quirks(root: Path) -> ExpectedVideos:
    """CAS(ME)³ part C beside a video of part A: no apex, subjects written once."""
    for kind in ("color", "depth"):
        write_video_pictures(
            root / "part_C" / "spNO.203" / kind, MadeVideo("spNO.203", "c", range(70, 99)), name="{}.jpg"
        )
    write_video_pictures(
        root / "part_A" / "spNO.7" / "b" / "color", MadeVideo("spNO.7", "b", range(1, 4)), name="{}.jpg"
    )
    write_video_pictures(root / "part_C" / "spNO.204" / "color", MadeVideo("spNO.204", "c", range(1, 9)), name="{}.jpg")
    rows: Rows = [
        ["spNO.203", 1, 72, 80, "AU4", "disgust"],
        [None, 2, 85, 120, "AU12，6", "happy"],
        ["??", 1, 72, 80, "AU4", "disgust"],
        [None, 2, 72, 80, "AU4", "disgust"],
        [None, 3, 72, 80, "AU4", "disgust"],
    ]
    path = write_sheet(root / "CAS(ME)3_part_C_ME.xlsx", {"mockCrimeME": [list(CASME3_C_HEADER), *rows]})
    return ExpectedVideos(
        root,
        (path,),
        {
            "casme3-c/spNO.203/c": (range(70, 99), [
                ("micro", 72, None, 80, "disgust", "negative", ("4",)),
                ("micro", 85, None, 98, "happy", "positive", ("12", "6")),
            ]),
            "casme3-c/spNO.204/c": (range(1, 9), []),
        },
        (("", "Subject is empty in 3 rows, this the first: the one above it is taken"),),
        (("spNO.203/c", "offset 120 lies past the end of the video; 98 taken"),),
        tuple(("", "sub: expected a subject such as spNO.203, found '??'") for _ in range(3)),
    )  # fmt: skip

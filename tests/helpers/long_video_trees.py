"""Small trees of our own making in the layouts of CAS(ME)², SAMM Long Videos and CAS(ME)³: videos as folders of pictures, and
the sheets that say what happens in them. Subjects, videos and numbers are invented."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from model.types import Image
from tests.helpers.workbooks import Cell, write_old_workbook, write_workbook
from train.datasets.source import AnnotatedEvent

Rows = list[list[Cell]]

CASME2_SUBJECTS = (15, 16, *range(19, 28), *range(29, 39), 40)
"""In the order of their numbers in the sheet, from 1."""
CASME2_STIMULI = {
    "disgust1": "0101", "disgust2": "0102", "anger1": "0401", "anger2": "0402", "happy1": "0502", "happy2": "0503",
    "happy3": "0505", "happy4": "0507", "happy5": "0508",
}  # fmt: skip
CASME2_WORDS = {"0101": "disgustingteeth", "0502": "happyferoal", "0503": "happygirl"}
SAMM_HEADER = [
    "Subject",
    "Filename",
    "Inducement Code",
    "Onset",
    "Apex",
    "Offset",
    "Duration",
    "Type",
    "Action Units",
    "Notes",
]
CASME3_HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Expression type", "Objective class"]
CASME3_LABEL_HEADER = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]
CASME3_C_HEADER = ["sub", "count", "onset", "offset", "au", "emotion"]


@dataclass(frozen=True)
class MadeVideo:
    """`subject` and `video` as the reader of the layout names them: s15 and 15_0101, 006 and 006_1, spNO.7 and b (part A),
    spNO.203 and c (part C). `numbers`: of its pictures."""

    subject: str
    video: str
    numbers: Sequence[int]
    events: tuple[AnnotatedEvent, ...] = field(default=())


Picture = Callable[[MadeVideo, int], Image]
"""The picture of a frame by its number, BGR or grey."""


def tiny(video: MadeVideo, number: int) -> Image:
    """Grey, 8×8, of noise that is the same for the same video and number."""
    return np.random.default_rng([number, *video.video.encode()]).integers(60, 200, (8, 8), np.uint8)


def write_long_dataset(name: str, root: Path, videos: Sequence[MadeVideo], picture: Picture = tiny) -> Path:
    """A plain copy of `casme2-long`, `samm-long`, `casme3` or `casme3-c` of these videos; returns its root."""
    for video in videos:
        write_video_pictures(root / video_folder(name, video), video, picture, PADDING[name](video))
    SHEETS[name](root, videos)
    return root


def video_folder(name: str, video: MadeVideo) -> Path:
    """Where a video's pictures lie below the root."""
    match name:
        case "casme2-long":
            return Path("rawpic", video.subject, video.video + CASME2_WORDS.get(video.video.split("_")[1], "words"))
        case "samm-long":
            return Path("SAMM_longvideos", video.video)
        case "casme3":
            return Path("part_A", video.subject, video.video, "color")
        case _:
            return Path("part_C", video.subject, "color")


def write_video_pictures(folder: Path, video: MadeVideo, picture: Picture = tiny, name: str = "img{:03d}.jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in video.numbers:
        assert cv2.imwrite(str(folder / name.format(number)), picture(video, number))


PADDING: dict[str, Callable[[MadeVideo], str]] = {
    "casme2-long": lambda video: "img{:03d}.jpg",
    "samm-long": lambda video: video.video + ("_{:04d}.jpg" if int(video.subject) % 2 else "_{:05d}.jpg"),
    "casme3": lambda video: "{}.jpg",
    "casme3-c": lambda video: "{}.jpg",
}
"""How a picture's file is named by its number."""


def write_sheet(path: Path, sheets: dict[str, Rows]) -> Path:
    """A workbook in the format that its ending says."""
    return (write_old_workbook if path.suffix == ".xls" else write_workbook)(path, sheets)


def casme2_long_rows(videos: Sequence[MadeVideo]) -> Rows:
    """A row an event, as in the first sheet, without a header."""
    by_code = {code: stimulus for stimulus, code in CASME2_STIMULI.items()}
    rows: Rows = []
    for video in videos:
        number = CASME2_SUBJECTS.index(int(video.subject[1:])) + 1
        stimulus = by_code[video.video.split("_")[1]]
        for count, event in enumerate(video.events, 1):
            rows.append([number, f"{stimulus}_{count}", event.onset, event.apex, event.offset,
                         "+".join(event.action_units), event.emotion, f"{event.kind}-expression", event.emotion])  # fmt: skip
    return rows


def casme2_long_sheets(rows: Rows) -> dict[str, Rows]:
    """The three sheets of the workbook, around the rows of the first."""
    return {
        "CASFEcode_final": rows,
        "naming rule1": [[person, f"s{person}", number] for number, person in enumerate(CASME2_SUBJECTS, 1)],
        "naming rule2": [[code, stimulus] for stimulus, code in CASME2_STIMULI.items()],
    }


def samm_long_rows(videos: Sequence[MadeVideo]) -> Rows:
    rows: Rows = []
    for video in videos:
        for count, event in enumerate(video.events, 1):
            kind = "Macro" if event.kind == "macro" else "Micro - 1/2"
            apex = -1 if event.apex is None else event.apex
            length = event.offset - event.onset + 1
            rows.append([video.subject, f"{video.video}_{count}", int(video.video.split("_")[1]), event.onset, apex,
                         event.offset, length, kind, "+".join(event.action_units), None])  # fmt: skip
    return rows


def samm_long_sheets(rows: Rows, header_row: int = 10) -> dict[str, Rows]:
    """Text above the header, as in the release."""
    above: Rows = [[f"line {number} about the coding"] for number in range(1, header_row)]
    return {"LEGEND": [["AU"]], "FACS_Movement_Only": [*above, list(SAMM_HEADER), *rows]}


def samm_micro_sheets(rows: Sequence[tuple[str, str, int, int, int, str]]) -> dict[str, Rows]:
    """SAMM's own sheet of micro-expressions: (subject, file name, onset, apex, offset, emotion)."""
    header: list[Cell] = [
        "Subject",
        "Filename",
        "Onset Frame",
        "Apex Frame",
        "Offset Frame",
        "Action Units",
        "Estimated Emotion",
    ]
    return {
        "MICRO_ONLY": [header, *([s, name, on, apex, off, "4", emotion] for s, name, on, apex, off, emotion in rows)]
    }


def casme3_rows(videos: Sequence[MadeVideo]) -> Rows:
    return [
        [video.subject, video.video, event.onset, event.apex, event.offset, "+".join(event.action_units),
         f"{event.kind.capitalize()}-expression", "I"]
        for video in videos
        for event in video.events
    ]  # fmt: skip


def casme3_label_rows(videos: Sequence[MadeVideo]) -> Rows:
    return [
        [video.subject, video.video, event.onset, event.apex, event.offset, "+".join(event.action_units), "I", event.emotion]
        for video in videos
        for event in video.events
        if event.kind == "micro"
    ]  # fmt: skip


def casme3_sheets(rows: Rows, blinks: Rows) -> dict[str, Rows]:
    """`blinks`: subject, file name, onset, apex, offset."""
    header: list[Cell] = ["Subject", "Filename", "Onset", "Apex", "Offset"]
    return {"AU+Emotion": [list(CASME3_HEADER), *rows], "eye blink": [header, *blinks]}


def _casme2_long(root: Path, videos: Sequence[MadeVideo]) -> None:
    write_sheet(root / "CAS(ME)^2code_final.xlsx", casme2_long_sheets(casme2_long_rows(videos)))


def _samm_long(root: Path, videos: Sequence[MadeVideo]) -> None:
    write_sheet(root / "SAMM_LongVideos_V3_Release.xlsx", samm_long_sheets(samm_long_rows(videos)))
    micro = [
        (video.subject, f"{video.video}_{count}", event.onset, event.apex or event.onset, event.offset, event.emotion)
        for video in videos
        for count, event in enumerate(video.events, 1)
        if event.kind == "micro" and event.emotion
    ]
    if micro:
        write_sheet(root / "SAMM_Micro_FACS_Codes_v2.xlsx", samm_micro_sheets(micro))


def _casme3(root: Path, videos: Sequence[MadeVideo]) -> None:
    write_sheet(root / "annotation" / "CAS(ME)3_part_A_v2.xls", casme3_sheets(casme3_rows(videos), []))
    labels = [list(CASME3_LABEL_HEADER), *casme3_label_rows(videos)]
    write_sheet(root / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", {"label": labels})


def _casme3_c(root: Path, videos: Sequence[MadeVideo]) -> None:
    rows: Rows = [
        [video.subject, count, event.onset, event.offset, "+".join(event.action_units), event.emotion]
        for video in videos
        for count, event in enumerate(video.events, 1)
    ]
    write_sheet(root / "CAS(ME)3_part_C_ME.xlsx", {"mockCrimeME": [list(CASME3_C_HEADER), *rows]})


SHEETS: dict[str, Callable[[Path, Sequence[MadeVideo]], None]] = {
    "casme2-long": _casme2_long,
    "samm-long": _samm_long,
    "casme3": _casme3,
    "casme3-c": _casme3_c,
}

"""The readers of long videos on trees with every quirk planted: the right videos and events, all that is told, and the counts."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.long_video_quirks import (
    ExpectedVideos,
    casme2_long_quirks,
    casme3_c_quirks,
    casme3_quirks,
    samm_long_quirks,
)
from tests.helpers.long_video_trees import (
    CASME2_STIMULI,
    CASME3_LABEL_HEADER,
    MadeVideo,
    Rows,
    casme2_long_rows,
    casme2_long_sheets,
    casme3_sheets,
    samm_long_sheets,
    write_long_dataset,
    write_sheet,
)
from train.datasets.class_maps import ClassMap
from train.datasets.event_counts import check_counts
from train.datasets.registry import LONG_DATASETS, read_dataset, read_videos
from train.datasets.source import AnnotatedEvent, DatasetError, Defect, FrameFolder, VideoFile, VideoReading

QUIRKS: dict[str, Callable[[Path], ExpectedVideos]] = {
    "casme2-long": casme2_long_quirks,
    "samm-long": samm_long_quirks,
    "casme3": casme3_quirks,
    "casme3-c": casme3_c_quirks,
}


def check(reading: VideoReading, expected: ExpectedVideos) -> None:
    """All videos with pictures and events, in the order expected, and nothing told but what is expected."""
    found = {
        video.id: (
            [number for number, _ in video.pictures.files] if isinstance(video.pictures, FrameFolder) else None,
            [(e.kind, e.onset, e.apex, e.offset, e.emotion, e.label, e.action_units) for e in video.events],
        )
        for video in reading.videos
    }
    wanted = {
        name: (None if numbers is None else list(numbers), events)
        for name, (numbers, events) in expected.videos.items()
    }
    assert list(found) == list(wanted)
    for name, video in wanted.items():
        assert found[name] == video, name
    assert reading.sheets == expected.sheets
    left = list(reading.defects)
    for severity, mended, told in (
        ("warning", False, expected.warnings),
        ("warning", True, expected.mended),
        ("error", False, expected.errors),
    ):
        for clip, reason in told:
            fits = [
                defect
                for defect in left
                if (defect.severity, defect.mended) == (severity, mended)
                and reason in defect.reason
                and (defect.clip or "") == clip
            ]
            assert fits, f"no {severity} {reason!r} of {clip!r} among\n" + "\n".join(map(str, left))
            left.remove(fits[0])
    assert left == [], "\n".join(map(str, left))


@pytest.mark.parametrize(
    ("name", "tree"),
    [
        ("casme2-long", casme2_long_quirks),
        ("casme2-long", lambda root: casme2_long_quirks(root, "code_final.xls")),
        ("casme2-long", lambda root: casme2_long_quirks(root, "CAS(ME)^2code_final(Updated).xlsx", header=True)),
        ("samm-long", samm_long_quirks),
        ("samm-long", lambda root: samm_long_quirks(root, 3, header_row=1, numbers=True)),
        ("casme3", casme3_quirks),
        ("casme3-c", casme3_c_quirks),
    ],
)
def test_every_quirk_is_read_as_it_should_be(name: str, tree: Callable[[Path], ExpectedVideos], tmp_path: Path) -> None:
    expected = tree(tmp_path / "data")
    reading = read_videos(name, [expected.root])
    check(reading, expected)
    assert {video.fps for video in reading.videos} == {200.0 if name == "samm-long" else 30.0}
    assert reading.dataset == name and "3 classes: negative" in reading.class_map


def test_what_is_told_has_file_and_row(tmp_path: Path) -> None:
    expected = casme2_long_quirks(tmp_path)
    reading = read_videos("casme2-long", [tmp_path])
    (mended,) = (defect for defect in reading.defects if defect.reason.startswith("offset 0"))
    assert str(mended).startswith(f"{expected.sheets[0]}, row 2 (s15/15_0101): offset 0: as far after the apex")
    assert mended.strict and mended.severity == "warning"
    assert not Defect("warning", tmp_path, "odd").strict and Defect("error", tmp_path, "wrong").strict
    assert [event.row for event in reading.videos[0].events] == [1, 3, 2, 4, 5]
    assert {defect.row for defect in reading.defects if "expected" in defect.reason} == {9, 10, 14, 15, 16}


@pytest.mark.parametrize("name", LONG_DATASETS)
def test_a_plain_copy_is_read_without_a_word(name: str, tmp_path: Path) -> None:
    event = AnnotatedEvent("micro", 3, 12, None if name == "casme3-c" else 7, "happiness", action_units=("12",))
    subjects = {
        "casme2-long": ("s15", "15_0101"),
        "samm-long": ("006", "006_1"),
        "casme3": ("spNO.7", "b"),
        "casme3-c": ("spNO.203", "c"),
    }
    made = MadeVideo(*subjects[name], range(1, 30), (event,))
    reading = read_videos(name, [write_long_dataset(name, tmp_path, [made])])
    assert reading.defects == () and reading.notes == ()
    (video,) = reading.videos
    assert (video.subject, video.video) == subjects[name]
    (found,) = video.events
    assert (found.kind, found.onset, found.apex, found.offset, found.label) == ("micro", 3, event.apex, 12, "positive")


@pytest.mark.parametrize("name", LONG_DATASETS)
def test_root_and_sheets_anywhere(name: str, tmp_path: Path) -> None:
    expected = QUIRKS[name](tmp_path / "outer" / "data")
    check(read_videos(name, [tmp_path / "outer"]), expected)
    moved = tmp_path / "sheets"
    moved.mkdir()
    sheets = tuple(
        Path(shutil.move(path, moved / f"x{number}{path.suffix}")) for number, path in enumerate(expected.sheets)
    )
    with pytest.raises(DatasetError, match=r"no annotation sheet under .*; give it with --annotation FILE"):
        read_videos(name, [expected.root])
    reading = read_videos(name, [expected.root], list(reversed(sheets)))
    assert reading.sheets == sheets
    assert [len(video.events) for video in reading.videos] == [len(events) for _, events in expected.videos.values()]


@pytest.mark.parametrize("name", LONG_DATASETS)
def test_micro_expressions_are_clips_for_recognition(name: str, tmp_path: Path) -> None:
    expected = QUIRKS[name](tmp_path)
    reading = read_dataset(name, [tmp_path])
    wanted = {
        f"{video}_{event[1]}": (numbers, event)
        for video, (numbers, events) in expected.videos.items()
        for event in events
        if event[0] == "micro"
    }
    assert [clip.id for clip in reading.clips] == list(wanted)
    for clip, (numbers, (_, onset, apex, offset, emotion, label, units)) in zip(
        reading.clips, wanted.values(), strict=True
    ):
        assert (clip.onset, clip.apex, clip.offset, clip.emotion, clip.label) == (onset, apex, offset, emotion, label)
        assert clip.action_units == units and isinstance(clip.pictures, FrameFolder) and numbers is not None
        assert [number for number, _ in clip.pictures.files] == [n for n in numbers if onset <= n <= offset]
        assert all(path.is_file() for _, path in clip.pictures.files)


def test_two_that_begin_together_are_two_clips(tmp_path: Path) -> None:
    events = (AnnotatedEvent("micro", 3, 9, 6, "positive"), AnnotatedEvent("micro", 3, 12, 6, "negative"))
    write_long_dataset("casme2-long", tmp_path, [MadeVideo("s15", "15_0101", range(1, 20), events)])
    clips = read_dataset("casme2-long", [tmp_path]).clips
    assert [(clip.clip, clip.label) for clip in clips] == [("15_0101_3", "positive"), ("15_0101_3_12", "negative")]


def test_class_map_and_long_ones(tmp_path: Path) -> None:
    casme3_quirks(tmp_path)
    reading = read_videos("casme3", [tmp_path], class_map=ClassMap(7), max_frames=10)
    labels = [event.label for video in reading.videos for event in video.events if event.kind == "micro"]
    assert labels == ["disgust", None, None, None] and len(reading.classes) == 7
    assert reading.notes == ("micro-expressions of more than 10 frames are left out: 1 of 5 (--max-frames 10)",)
    clips = read_dataset("casme3", [tmp_path], max_frames=10)
    assert len(clips.clips) == 4 and clips.notes == reading.notes
    with pytest.raises(DatasetError, match="--max-frames: expected 1 or more, found 0"):
        read_videos("casme3", [tmp_path], max_frames=0)
    with pytest.raises(DatasetError, match="--max-frames: samm has clips, not long videos; it is for casme2-long"):
        read_dataset("samm", [tmp_path], max_frames=10)


# Layouts and sheets of CAS(ME)²


def test_moving_pictures_and_cropped_ones(tmp_path: Path) -> None:
    event = AnnotatedEvent("micro", 3, 12, 7, "positive")
    root = write_long_dataset("casme2-long", tmp_path, [MadeVideo("s15", "15_0101", range(1, 30), (event,))])
    shutil.copytree(root / "rawpic", root / "cropped")
    (root / "rawvideo" / "s15").mkdir(parents=True)
    (root / "rawvideo" / "s15" / "15_0101disgustingteeth.avi").write_bytes(b"RIFF")
    (usual,) = read_videos("casme2-long", [root]).videos
    assert isinstance(usual.pictures, FrameFolder) and not usual.cropped and "rawpic" in str(usual.pictures.path)
    (cropped,) = read_videos("casme2-long", [root], layout="cropped").videos
    assert cropped.cropped and isinstance(cropped.pictures, FrameFolder)
    (moving,) = read_videos("casme2-long", [root], layout="rawvideo").videos
    assert moving.pictures == VideoFile(root / "rawvideo" / "s15" / "15_0101disgustingteeth.avi", first=1)
    (clip,) = read_dataset("casme2-long", [root], layout="rawvideo").clips
    assert clip.pictures == moving.pictures and (clip.onset, clip.offset) == (3, 12)
    with pytest.raises(DatasetError, match="--layout: expected one of rawpic, rawvideo, cropped, found 'big'"):
        read_videos("casme2-long", [root], layout="big")
    reasons = [str(defect) for defect in read_videos("casme2-long", [root]).defects]
    assert any(
        "several layouts: rawpic (1 videos), rawvideo (1 videos), cropped (1 videos); rawpic is read" in r
        for r in reasons
    )


def test_a_table_of_text_without_naming_rules(tmp_path: Path) -> None:
    videos = [MadeVideo("s40", "40_0502", range(1, 30), (AnnotatedEvent("macro", 3, 12, 7, "positive"),))]
    root = write_long_dataset("casme2-long", tmp_path / "data", videos)
    next(root.glob("*.xlsx")).unlink()
    path = tmp_path / "code.csv"
    path.write_text(
        "\n".join(";".join("" if cell is None else str(cell) for cell in row) for row in casme2_long_rows(videos))
    )
    reading = read_videos("casme2-long", [root], [path])
    assert [(video.id, len(video.events)) for video in reading.videos] == [("casme2-long/s40/40_0502", 1)]
    (told,) = reading.defects
    assert "no sheets with the naming rules: subjects and stimuli are named as in the release" in told.reason


def test_naming_rules_of_the_workbook_go_first(tmp_path: Path) -> None:
    videos = [MadeVideo("s15", "15_0502", range(1, 30), (AnnotatedEvent("macro", 3, 12, 7, "positive"),))]
    root = write_long_dataset("casme2-long", tmp_path, videos)
    sheets = casme2_long_sheets([[7, "happy1_1", 3, 7, 12, "12", "positive", "macro-expression", ""]])
    sheets["naming rule1"] = [[15, "s15", 7]]
    write_sheet(root / "CAS(ME)^2code_final.xlsx", sheets)
    (video,) = read_videos("casme2-long", [root]).videos
    assert (video.id, len(video.events)) == ("casme2-long/s15/15_0502", 1)


# Sheets of SAMM Long Videos


def test_the_newest_version_is_read(tmp_path: Path) -> None:
    samm_long_quirks(tmp_path, 3)
    rows: Rows = [["041", "041_1_1", 1, 1, 12, 20, 21, "Macro", "4+7", None]]
    for version in (1, 2):
        write_sheet(tmp_path / f"SAMM_LongVideos_V{version}_Release.xlsx", samm_long_sheets(rows))
    reading = read_videos("samm-long", [tmp_path])
    assert reading.sheets[0].name == "SAMM_LongVideos_V3_Release.xlsx"
    assert sum(len(video.events) for video in reading.videos) == 6
    old = read_videos("samm-long", [tmp_path], [tmp_path / "SAMM_LongVideos_V1_Release.xlsx"])
    assert sum(len(video.events) for video in old.videos) == 1


def test_without_samms_own_sheet_there_are_no_emotions(tmp_path: Path) -> None:
    samm_long_quirks(tmp_path).sheets[1].unlink()
    reading = read_videos("samm-long", [tmp_path])
    assert {event.label for video in reading.videos for event in video.events} == {None}
    assert any(
        "the micro-expressions have no emotion and are in no class" in defect.reason for defect in reading.defects
    )


# Names alone


@pytest.mark.parametrize("name", LONG_DATASETS)
def test_a_sheet_without_pictures_gives_the_events(name: str, tmp_path: Path) -> None:
    expected = QUIRKS[name](tmp_path / "data")
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in expected.sheets:
        shutil.copy(path, alone)
    reading = read_videos(name, [alone])
    assert {video.pictures for video in reading.videos} == {None}
    assert {video.id for video in reading.videos} >= {video for video, (_, events) in expected.videos.items() if events}
    assert [d.reason for d in reading.defects if d.file == alone] == [
        f"no pictures of any of the {len(reading.videos)} videos of {check_counts(reading).published.title} here: names and events only"
    ]  # fmt: skip


# Counts of full copies: the published numbers, at random places


def spread(rng: random.Random, total: int, places: int) -> list[int]:
    counts = [0] * places
    for _ in range(total):
        counts[rng.randrange(places)] += 1
    return counts


def intervals(rng: random.Random, count: int) -> list[tuple[int, int, int]]:
    """Onset, apex and offset of events that do not meet."""
    found, at = [], 1
    for _ in range(count):
        onset = at + rng.randrange(1, 9)
        apex = onset + rng.randrange(2, 9)
        offset = apex + rng.randrange(2, 9)
        found.append((onset, apex, offset))
        at = offset
    return found


def full_casme2(root: Path, rng: random.Random) -> None:
    emotions = {"macro": {"negative": 105, "positive": 116, "surprise": 16, "others": 63},
                "micro": {"negative": 21, "positive": 8, "surprise": 9, "others": 19}}  # fmt: skip
    told = [
        (kind, emotion) for kind, counts in emotions.items() for emotion, count in counts.items() for _ in range(count)
    ]
    rng.shuffle(told)
    names = [(number, stimulus) for number in range(1, 23) for stimulus in CASME2_STIMULI]
    rest = rng.sample([name for name in names if name[1] != "anger1"], 73)
    videos = [*((number, "anger1") for number in range(1, 23)), *rest]
    rows: Rows = []
    for (number, stimulus), more in zip(videos, spread(rng, len(told) - len(videos), len(videos)), strict=True):
        for place, times in enumerate(intervals(rng, 1 + more), 1):
            kind, emotion = told.pop()
            rows.append([number, f"{stimulus}_{place}", *times, "4", emotion, f"{kind}-expression", ""])
    assert len(videos) == 95 and not told
    write_sheet(root / "CAS(ME)^2code_final.xls", casme2_long_sheets(rows))


def full_samm(root: Path, rng: random.Random) -> None:
    rows: Rows = []
    kinds = ["Macro"] * 343 + ["Micro - 1/2"] * 159
    rng.shuffle(kinds)
    for video, count in enumerate(spread(rng, len(kinds), 147)):
        subject = f"{6 + video % 30:03d}"
        for place, (onset, apex, offset) in enumerate(intervals(rng, count), 1):
            rows.append(
                [
                    subject,
                    f"{subject}_{1 + video // 30}_{place}",
                    1,
                    onset,
                    apex,
                    offset,
                    offset - onset + 1,
                    kinds.pop(),
                    "4",
                    None,
                ]
            )
    write_sheet(root / "SAMM_LongVideos_V1_Release.xlsx", samm_long_sheets(rows))


def full_casme3(root: Path, rng: random.Random) -> None:
    counts = {
        "disgust": 250,
        "surprise": 187,
        "others": 158,
        "Others": 3,
        "fear": 86,
        "anger": 64,
        "sad": 57,
        "happy": 55,
    }
    told: list[tuple[str, str]] = [
        ("Micro-expression", emotion) for emotion, count in counts.items() for _ in range(count)
    ]
    told += [("Macro-expression", "")] * 3346
    rng.shuffle(told)
    rows: Rows = []
    labels: Rows = []
    for video, count in enumerate(spread(rng, len(told), 1300)):
        names = [f"spNO.{1 + video // 13}", "abcdefghijklm"[video % 13]]
        for times in intervals(rng, count):
            kind, emotion = told.pop()
            rows.append([*names, *times, "4", kind, "I"])
            labels += [[*names, *times, "4", "I", emotion]] if emotion else []
    write_sheet(root / "CAS(ME)3_part_A_v2.xls", casme3_sheets(rows, [["spNO.1", "a", n, n, n] for n in range(841)]))
    write_sheet(root / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", {"label": [list(CASME3_LABEL_HEADER), *labels]})


def test_counts_of_full_copies_are_as_published(tmp_path: Path) -> None:
    for name, make, told in (
        ("casme2-long", full_casme2, "CAS(ME)², macro + micro: 300 + 57 as published"),
        ("samm-long", full_samm, "SAMM Long Videos, macro + micro: 343 + 159 as published"),
        ("casme3", full_casme3, "CAS(ME)³ part A, macro + micro: 3346 + 860 as published"),
    ):
        (tmp_path / name).mkdir()
        make(tmp_path / name, random.Random(17))
        reading = read_videos(name, [tmp_path / name])
        outcome = check_counts(reading)
        assert outcome is not None and str(outcome) == told and outcome.matches
        assert [defect for defect in reading.defects if defect.strict and defect.file != tmp_path / name] == []
    by_class = [
        sum(event.label == label for video in reading.videos for event in video.events) for label in reading.classes
    ]
    assert by_class == [457, 55, 187], "three classes of CAS(ME)³"
    assert any("841 eye blinks of 1 subjects; they are no events" in defect.reason for defect in reading.defects)


def test_what_a_copy_lacks_is_told(tmp_path: Path) -> None:
    full_samm(tmp_path, random.Random(3))
    path = tmp_path / "SAMM_LongVideos_V1_Release.xlsx"
    reading = read_videos("samm-long", [tmp_path])
    cells: Rows = [
        [v.subject, f"{v.video}_{n}", 1, e.onset, e.apex, e.offset, 1, e.kind, "4", None]
        for v in reading.videos
        for n, e in enumerate(v.events, 1)
    ]
    micro = next(n for n, row in enumerate(cells) if row[7] == "micro")
    del cells[micro]
    write_sheet(path, samm_long_sheets(cells))
    outcome = check_counts(read_videos("samm-long", [tmp_path]))
    assert outcome is not None and not outcome.matches
    assert str(outcome).startswith(
        "SAMM Long Videos, macro + micro: 343 + 158, not as published: micro 158 instead of 159; usual cause"
    )
    assert outcome.to_dict()["differences"] == ["micro 158 instead of 159"]
    assert check_counts(VideoReading("smic-e", (), ())) is None

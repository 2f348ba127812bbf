"""Predictions in files: every form read, each defect told in a line, ours read back as they were, no mutation a crash."""

import random
import string
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.errors import MicroliveError
from train.challenge.prediction_files import Form, VideoNames, read_predictions, write_predictions
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.datasets.source import DatasetError


def video(subject: str, name: str, fps: float = 30.0, found: Sequence[FrameEvent] = ()) -> ScoredVideo:
    return ScoredVideo(subject, name, fps, 1, 3000, (), tuple(found))


CASME = [
    video("s15", "15_0101disgustingteeth"),
    video("s15", "15_0502funnyerrors"),
    video("s16", "16_0101disgustingteeth"),
]
SAMM = [video("006", "006_1", 200.0), video("006", "006_2", 200.0), video("011", "011_1", 200.0)]
CASME3 = [video("spNO.1", "a"), video("spNO.1", "b"), video("spNO.12", "a"), video("spNO.138", "b")]


def read(tmp_path: Path, text: str, videos: Sequence[ScoredVideo] = CASME, name: str = "p.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_predictions(path, videos)


def intervals(videos: Sequence[ScoredVideo]) -> list[tuple[str, str, int, int]]:
    return [(one.video, event.kind, event.onset, event.offset) for one in videos for event in one.found]


@pytest.mark.parametrize(
    "text",
    [
        "vid,pred_onset,pred_offset,type\n15_0101,10,20,me\n16_0101,30,99,mae\n",
        "vid,onset,offset,type\n15_0101,10,20,me\n16_0101,30,99,mae\n",
        "15_0101,10,20,me\n16_0101,30,99,mae\n",
        "my spotter's events\n\nType;VID;Offset;Onset\nMicro-expression;s15_0101;20.0;10\nMACRO;16_0101;99;30\n",
        "video,onset_s,offset_s,type\n15_0101,0.3,0.633333,micro\n16_0101,0.966667,3.266667,macro\n",
        "video\tonset_s\toffset_s\ttype\n15_0101\t0,3\t0,633333\tMicro - 1/2\n16_0101\t0,966667\t3,266667\tmacro\n",
    ],
)
def test_every_form_gives_the_same_events(tmp_path: Path, text: str) -> None:
    got = read(tmp_path, text)
    assert got.defects == ()
    assert intervals(got.videos) == [
        ("15_0101disgustingteeth", "micro", 10, 20),
        ("16_0101disgustingteeth", "macro", 30, 99),
    ]


def test_a_workbook_will_do(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["vid", "onset", "offset", "type"], ["15_0101", 10, 20, "me"]):
        book.active.append(row)
    book.save(tmp_path / "p.xlsx")
    got = read_predictions(tmp_path / "p.xlsx", CASME)
    assert intervals(got.videos) == [("15_0101disgustingteeth", "micro", 10, 20)] and not got.defects


def test_all_columns(tmp_path: Path) -> None:
    text = (
        "video,onset_s,offset_s,type,apex_s,label,probability,subject\n"
        "006_1,0,0.495,micro,0.2,negative,0.75,6\n006_1,1,2,macro,,,,6\n"
    )
    assert read(tmp_path, text, SAMM).videos[0].found == (
        FrameEvent("micro", 1, 100, 41, "negative", 0.75),
        FrameEvent("macro", 201, 401),
    )


def test_a_heading_alone_says_that_nothing_was_found(tmp_path: Path) -> None:
    got = read(tmp_path, "vid,onset,offset,type\n")
    assert intervals(got.videos) == [] and len(got.videos) == 3 and not got.defects


@pytest.mark.parametrize(
    ("videos", "name", "subject", "place"),
    [
        (CASME, "15_0101disgustingteeth", "", 0),
        (CASME, "s15/15_0502", "", 1),
        (CASME, "S15_15_0502FunnyErrors.AVI", "", 1),
        (CASME, "casme_015_0502", "", 1),
        (CASME, "16_0101disgustingteath.mp4", "", 2),
        (SAMM, "6_1", "", 0),
        (SAMM, "SAMM_011_1", "", 2),
        (SAMM, "006_2", "6", 1),
        (CASME3, "spNO.138_b", "", 3),
        (CASME3, "138_B", "", 3),
        (CASME3, "spno.1/a", "", 0),
        (CASME3, "A", "12", 2),
        (CASME3, "1_a", "", 0),
    ],
)
def test_videos_are_known_by_many_names(videos: list[ScoredVideo], name: str, subject: str, place: int) -> None:
    assert VideoNames(videos).place_of(name, subject) == place


@pytest.mark.parametrize(
    ("videos", "name", "subject", "said"),
    [
        (CASME3, "a", "", "video 'a' may be 2 (spNO.1/a, spNO.12/a …); name the subject too"),
        (CASME3, "c", "", "video 'c' is none of the 4 videos"),
        (CASME3, "a", "138", "video 'a' of subject '138' is none of the 4 videos"),
        (SAMM, "006_3", "", "video '006_3' is none of the 3 videos"),
        (SAMM, "", "", "expected a video's name, found an empty cell"),
        (CASME, "15", "", "video '15' is none of the 3 videos"),
    ],
)
def test_a_name_of_none_or_several_videos(videos: list[ScoredVideo], name: str, subject: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        VideoNames(videos).place_of(name, subject)
    assert str(error.value) == said


def test_each_defect_is_a_line_and_what_can_be_scored_is(tmp_path: Path) -> None:
    rows = [
        "15_0101,10,20,me",
        "15_0101,10,20,me",
        "15_0101,2990,3001,me",
        "15_0909,1,2,me",
        "15_0101,30,20,me",
        "15_0101,ten,20,me",
        "15_0101,10.5,20,me",
        "15_0101,10,,me",
        "15_0101,10,20,smile",
        "15_0101,nan,20,me",
    ]
    got = read(tmp_path, "vid,pred_onset,pred_offset,type\n" + "\n".join(rows))
    said = [str(defect).removeprefix(f"{tmp_path / 'p.csv'}, ") for defect in got.defects]
    assert said == [
        "row 3: the same event as in row 2; scored anyway, so one is false",
        "row 4: 2990 to 3001 reaches beyond s15/15_0101disgustingteeth, which has the frames 1 to 3000; scored as it is",
        "row 5: video '15_0909' is none of the 3 videos",
        "row 6: expected onset <= offset, found 30 and 20",
        "row 7: onset: expected a number, found 'ten'",
        "row 8: onset: expected a whole number of frames, found '10.5'",
        "row 9: offset: expected a number, found an empty cell",
        "row 10: type: expected me, mae, micro or macro, found 'smile'",
        "row 11: onset: expected a number, found 'nan'",
    ]
    assert len(got.errors) == 7 and len(intervals(got.videos)) == 3


def test_what_is_left_out_or_assumed_is_told(tmp_path: Path) -> None:
    got = read(tmp_path, "vid,onset,offset,apex,probability\n15_0101,10,20,21,0.5\n15_0101,10,21,15,1.5\n")
    assert [(defect.severity, defect.row, defect.reason) for defect in got.defects] == [
        ("warning", None, "no column says the type; every event is taken for a micro-expression"),
        ("warning", 2, "the apex 21 lies outside of 10 to 20; left out"),
        ("error", 3, "probability: expected a number from 0 to 1, found '1.5'"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a table of predictions, found an empty file"),
        ("a,b,c,d\n1,2,3,4\n", "expected predictions with the headings vid,pred_onset,pred_offset,type; "),
        ("vid,onset,offset,onset,type\n", "row 1: expected one column for onset, found several"),
    ],
)
def test_what_is_no_table_of_predictions(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DatasetError) as error:
        read(tmp_path, text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_file_is_bounded_and_so_is_what_is_said_of_it(tmp_path: Path) -> None:
    got = read(tmp_path, "vid,onset,offset,type\n" + "15_0101,1,2,me\n" * 300 + "15_0909,1,2,me\n" * 50)
    assert len(got.defects) == 102 and len(intervals(got.videos)) == 300
    assert [str(defect) for defect in got.errors] == [f"{tmp_path / 'p.csv'}: 50 more errors in later rows"]
    with pytest.raises(DatasetError, match="expected up to 500000 cells"):
        read(tmp_path, "vid,onset,offset,type\n" + "15_0101,1,2,me\n" * 100_001)


events = st.builds(
    lambda kind, onset, frames, apex, label, p: FrameEvent(
        kind, onset, onset + frames, min(onset + apex, onset + frames), label, p if kind == "micro" else None
    ),
    st.sampled_from(["micro", "macro"]),
    st.integers(1, 2000),
    st.integers(0, 900),
    st.integers(0, 900),
    st.sampled_from([None, "negative", 'say "so", or'])
    | st.text(string.ascii_letters, min_size=1, max_size=8).filter(lambda t: t == t.strip()),
    st.none() | st.floats(0, 1),
)


@given(
    found=st.lists(st.lists(events, max_size=5), min_size=3, max_size=3),
    form=st.sampled_from(["megc2021", "megc2023", "seconds"]),
    which=st.sampled_from([CASME, SAMM, CASME3[:3]]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_what_is_written_is_read_back(
    tmp_path: Path, found: list[list[FrameEvent]], form: Form, which: list[ScoredVideo]
) -> None:
    videos = [
        ScoredVideo(one.subject, one.video, one.fps, 1, 3000, (), tuple(sorted(own, key=lambda e: (e.onset, e.offset))))
        for one, own in zip(which, found, strict=True)
    ]
    write_predictions(tmp_path / "p.csv", videos, form)
    got = read_predictions(tmp_path / "p.csv", which)
    assert not got.errors
    if form == "seconds":
        assert [sorted(map(repr, one.found)) for one in got.videos] == [sorted(map(repr, one.found)) for one in videos]
    else:
        assert sorted(intervals(got.videos)) == sorted(intervals(videos))


def test_only_what_counts_is_written(tmp_path: Path) -> None:
    found = [
        FrameEvent("micro", 10, 20, probability=0.4),
        FrameEvent("micro", 30, 40, probability=0.6),
        FrameEvent("macro", 1, 90),
    ]
    videos = [video("s1", "v", found=found), video("s2", "v", found=found)]
    write_predictions(tmp_path / "p.csv", videos, "megc2021", {"s1": 0.5, "s2": 0.9})
    assert (tmp_path / "p.csv").read_text().splitlines() == [
        "vid,pred_onset,pred_offset,type", "s1_v,1,90,mae", "s1_v,30,40,me", "s2_v,1,90,mae",
    ]  # fmt: skip


def mutated(text: str, chance: random.Random) -> bytes:
    """Bytes that somebody's program, editor or disk could have made of a file."""
    data = bytearray(text.encode(chance.choice(["utf-8", "utf-16", "latin-1"])))
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[place:place] = bytes(chance.choices(range(256), k=chance.randint(1, 4)))
            case 1:
                del data[place : place + chance.randint(1, 12)]
            case 2:
                data[place:place] = chance.choice(
                    [b",", b";", b"\n", b'"', b"\t", b"\x00", b"\r", b"-", b"1e308", b"\xef\xbb\xbf"]
                )
            case 3:
                data[place : place + 2] = data[place : place + 2][::-1]
            case 4:
                data += data[: chance.randint(0, 60)]
            case _:
                data = data[: chance.randint(0, len(data))]
    return bytes(data)


def test_mutated_files_are_read_or_refused_in_a_line(tmp_path: Path) -> None:
    texts = [
        "vid,pred_onset,pred_offset,type\n15_0101,10,20,me\n16_0101,30,99,mae\n",
        "15_0101,10,20,me\n16_0101,30,99,mae\n",
        "video,onset_s,offset_s,type,apex_s,label,probability,subject\n15_0101,0.3,0.6,micro,0.4,negative,0.7,s15\n",
    ]
    chance, path, refused = random.Random(17), tmp_path / "p.csv", 0
    for number in range(200):
        path.write_bytes(mutated(texts[number % 3], chance))
        try:
            got = read_predictions(path, CASME)
        except MicroliveError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
        else:
            assert len(got.videos) == 3 and all("\n" not in str(defect) for defect in got.defects)
    assert 20 < refused < 180


@given(
    rows=st.lists(
        st.lists(st.text(max_size=8) | st.sampled_from(["15_0101", "me", "12", "vid", "onset", "offset", "-3", "1e9"]), max_size=6),
        max_size=6,
    )
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
def test_any_table_is_read_or_refused(tmp_path: Path, rows: list[list[str]]) -> None:
    (tmp_path / "p.csv").write_bytes("\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass"))
    try:
        read_predictions(tmp_path / "p.csv", CASME)
    except MicroliveError as error:
        assert "\n" not in str(error)

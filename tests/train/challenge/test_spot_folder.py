"""The folder of a run over long videos: what is kept, what a kill leaves, what is refused."""

import json
from pathlib import Path

import pytest

from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.challenge.spot_folder import SpotDir, data_sha256, scored_video, video_line
from train.challenge.watch_recorded import WatchedVideo
from train.datasets.source import AnnotatedEvent, FrameFolder, SourceVideo
from train.errors import TrainError, UsageError

SETTINGS = {"kind": "spot-score", "dataset": "made", "data_sha256": "1", "rules": "pooled", "model_sha256": "m"}
KEYS = [("a", "1"), ("a", "2"), ("b", "1")]


def line(key: tuple[str, str], watchable_s: float | None = 3.0) -> dict:
    subject, video = key
    found = (FrameEvent("micro", 10, 20, 15, "negative", 0.123456789012345), FrameEvent("macro", 30, 60))
    scored = ScoredVideo(subject, video, 30.0, 1, 90, (FrameEvent("micro", 9, 21),), found, watchable_s)
    pictures = FrameFolder(Path("x"), ((1, Path("x/1.jpg")), (90, Path("x/90.jpg"))))
    source = SourceVideo("made", subject, video, 30.0, pictures)
    return video_line(source, WatchedVideo(scored, {"ok": 90}, ("odd",)))


@pytest.fixture
def begun(tmp_path: Path) -> SpotDir:
    run = SpotDir(tmp_path / "run")
    assert run.begin(SETTINGS) is False
    return run


def test_a_line_gives_its_video_back(begun: SpotDir) -> None:
    begun.append(line(KEYS[0]))
    begun.append(line(KEYS[1], watchable_s=None))
    told = [json.loads(text) for text in begun.videos.read_text().splitlines()]
    assert told[0]["pictures"] == {"kind": "folder", "path": "x", "first": 1} and told[0]["remarks"] == ["odd"]
    first, second = map(scored_video, told)
    assert first.found[0].probability == 0.123456789012345 and first.found[1] == FrameEvent("macro", 30, 60)
    assert (first.seconds, first.watchable_s, second.watchable_s) == (3.0, 3.0, None)
    with pytest.raises(UsageError, match="found another line"):
        scored_video({"subject": "a"})


def test_a_kill_costs_the_videos_in_hand_alone(begun: SpotDir) -> None:
    assert begun.recover(KEYS) == set()
    begun.append(line(KEYS[2]))
    begun.append(line(KEYS[0]))
    begun.append(line(("c", "gone")))
    whole = begun.videos.read_text()
    begun.videos.write_text(whole + json.dumps(line(KEYS[1]))[:40])
    assert begun.begin(SETTINGS) is True
    assert begun.recover(KEYS) == {KEYS[2], KEYS[0]}
    assert begun.videos.read_text() == "".join(whole.splitlines(keepends=True)[:2])
    with pytest.raises(TrainError, match="expected a line for every video, found none for a/2"):
        begun.in_order(KEYS)
    begun.append(line(KEYS[1]))
    assert [(told["subject"], told["video"]) for told in begun.in_order(KEYS)] == KEYS
    assert begun.videos.read_text() == "".join(json.dumps(line(key)) + "\n" for key in KEYS)


def test_a_video_that_is_there_twice_is_watched_again(begun: SpotDir) -> None:
    begun.append(line(KEYS[0]))
    begun.append(line(KEYS[0]))
    assert begun.recover(KEYS) == set() and begun.videos.read_text() == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "other"}, r"holds a run with other settings \(dataset was 'made', is now 'other'\)"),
        ({"model_sha256": "n"}, "model_sha256 was 'm', is now 'n'"),
        ({"data_sha256": "2"}, r"\(the videos or their events changed\)"),
    ],
)
def test_another_run_is_refused_unless_it_may_be_replaced(begun: SpotDir, changes: dict, message: str) -> None:
    begun.append(line(KEYS[0]))
    with pytest.raises(UsageError, match=message):
        begun.begin(SETTINGS | changes)
    assert begun.begin(SETTINGS | {"rules": "softnet", "command": "again"}) is True
    assert begun.begin(SETTINGS | changes, overwrite=True) is False
    assert not begun.videos.exists()


def test_scores_are_made_anew(begun: SpotDir) -> None:
    for path in (begun.scores, begun.predictions_2021, begun.predictions_2023):
        path.write_text("old")
    begun.begin(SETTINGS | {"rules": "softnet"})
    assert sorted(path.name for path in begun.path.iterdir()) == ["settings.json"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_such_run_stays_as_it_is(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="expected an empty folder or a run, found other files"):
        SpotDir(tmp_path).begin(SETTINGS, overwrite)
    (tmp_path / "settings.json").write_text('{"kind": "another"}')
    with pytest.raises(UsageError, match=r"holds no run of `python -m train spot-score`"):
        SpotDir(tmp_path).begin(SETTINGS, overwrite)
    (tmp_path / "settings.json").write_text("[]")
    with pytest.raises(UsageError, match=r"settings\.json: expected a run's settings"):
        SpotDir(tmp_path).begin(SETTINGS, overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "all of it"


def test_the_data_is_known_by_its_numbers_and_events() -> None:
    def video(*numbers: int, onset: int = 3) -> SourceVideo:
        pictures = FrameFolder(Path("p"), tuple((number, Path(f"p/{number}")) for number in numbers))
        return SourceVideo("made", "a", "v", 30.0, pictures, (AnnotatedEvent("micro", onset, 9),))

    told = {data_sha256([one]) for one in (video(1, 2), video(1, 2, 3), video(1, 2, onset=4))}
    assert len(told) == 3 and data_sha256([video(1, 2)]) in told

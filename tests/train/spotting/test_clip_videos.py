"""Real clips in a spotting run: found by people, told calm from moving, watched as they are and with expressions in them."""

import json
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from model.contract import ClipContract
from stream.events.motion import REGIONS, SKIN, Motion
from tests.train.spotting.test_watch import FakeRecognizer, run_with
from train.commands import spot_eval as command_spot_eval
from train.errors import UsageError
from train.spotting.clip_videos import WatchedClip, _within_lag_px, clip_script, find_clips, skin_motion_px
from train.synth.drawn import drawn_face
from train.synth.faces import astronaut
from train.synth.long_video import LongVideo, Sampling, make_long_video, write_while
from train.synth.long_video_script import ScriptSettings, draw_script
from train.synth.render import FaceModel


def filmed(path: Path, settings: ScriptSettings, seconds: float) -> None:
    """A small clip of the astronaut at 30 frames a second."""
    video: LongVideo = make_long_video([astronaut()], 2, 0, settings)
    frames = islice(video.frames(Sampling(30.0)), round(30 * seconds))
    small = ((time_s, cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)) for time_s, picture in frames)
    assert len(list(write_while(small, path, 30.0))) == round(30 * seconds)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person who sits still for two seconds, one who talks for as long, and a picture without a face."""
    folder = tmp_path_factory.mktemp("clips")
    still = ScriptSettings(duration_s=2.0, lead_s=1.9, blinks_per_min=0.0, busy=0.0, expressions=False)
    filmed(folder / "anna_still.mp4", still, 2.0)
    grey = ((number / 30, np.full((120, 160, 3), 90, np.uint8)) for number in range(60))
    list(write_while(grey, folder / "ben_wall.mp4", 30.0))
    (folder / "notes.txt").write_text("no clip")
    return folder


def motions(skin_px: Sequence[float], fps: float = 30.0) -> list[Motion]:
    """One region of the skin is so far from its rest; an eye moves a lot, which does not count."""
    found = []
    for number, value in enumerate(skin_px):
        regions_px = np.zeros((len(REGIONS), 2), np.float32)
        regions_px[SKIN[3]] = (0.6 * value, 0.8 * value)
        regions_px[[i for i in range(len(REGIONS)) if i not in SKIN]] = 9.0 * (number % 2)
        found.append(Motion(number / fps, regions_px, 0.0, 100.0, 5.0))
    return found


def test_people_are_the_names_up_to_the_first_underscore(clips: Path) -> None:
    found = find_clips(clips)
    assert [(clip.path.name, clip.person, clip.number) for clip in found] == [
        ("anna_still.mp4", "anna", 0),
        ("ben_wall.mp4", "ben", 1),
    ]
    assert find_clips(clips, ["ben"]) == found[1:]
    with pytest.raises(UsageError, match="--clip-people: expected some of anna, ben, found carl"):
        find_clips(clips, ["carl"])
    with pytest.raises(UsageError, match="expected video files"):
        find_clips(clips.parent)


@pytest.mark.parametrize("fps", [25.0, 30.0, 60.0])
def test_motion_is_what_a_tenth_of_a_second_brings(fps: float) -> None:
    steady = _within_lag_px(motions([20.0 * number / fps for number in range(40)], fps))
    assert steady == pytest.approx([2.0] * len(steady), abs=1e-4) and len(steady) == 40 - math.ceil(0.1 * fps)
    assert max(_within_lag_px(motions([1.0] * 20, fps))) < 1e-6
    assert _within_lag_px(motions([1.0], fps)) == []


def test_calm_and_moving_are_told_by_the_skin(clips: Path) -> None:
    contract = ClipContract(("negative", "positive"))
    still_px = skin_motion_px(clips / "anna_still.mp4", contract)
    assert still_px is not None and still_px < 0.8
    assert skin_motion_px(clips / "ben_wall.mp4", contract) is None
    plain: Any = None
    for motion_px, motion in ((still_px, "calm"), (0.8, "moving"), (None, None)):
        assert WatchedClip("anna", plain, motion_px=motion_px).motion == motion


def test_nothing_but_micro_expressions_is_put_into_clips() -> None:
    settings = clip_script(60.0)
    script = draw_script(np.random.default_rng(1), FaceModel(drawn_face(0)).fields, settings)
    assert {event.kind for event in script.events} == {"micro"} and script.distractions == ()
    assert all(1.0 <= event.peak_px <= 5.0 for event in script.events) and script.pose(0.5).light == 1.0


def test_spot_eval_watches_clips_as_they_are_and_with_expressions(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--drawn", "1", "--people", "drawn00", "--minutes", "0.1", "--video-minutes", "0.1", "--rest", "0"]
    argv += ["--fps", "10", "--videos", str(clips), "--clip-minutes", "0.2", "--json", str(tmp_path / "out.json")]
    argv += ["--chart", str(tmp_path / "spot.png")]
    assert run_with(monkeypatch, command_spot_eval, FakeRecognizer(), *argv) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    anna, ben = report["clips"]
    assert (anna["people"], anna["motion"], anna["seconds"]) == (["anna"], "calm", pytest.approx(2.0, abs=0.05))
    assert anna["acted"]["seconds"] == pytest.approx(12.0) and anna["own_s"] == pytest.approx(2.0, abs=0.05)
    assert {event["kind"] for event in anna["acted"]["truth"]} == {"micro"} and anna["truth"] == []
    assert ben["acted"] is None and ben["motion"] is None and "a face is seen in 0 of" in ben["why_not"]
    assert "no expressions were put into ben_wall.mp4" in " ".join(capsys.readouterr().err.split())
    assert list(report["groups"]) == ["made videos", "clips", "calm clips"]
    calm = report["groups"]["calm clips"]
    assert calm["n"] == len(anna["acted"]["truth"]) > 0 and calm["people"] == ["anna"] and calm["recall"] == 0.0
    assert calm["own_minutes"] == pytest.approx(2 / 60, abs=0.001) and calm["minutes"] == pytest.approx(0.2)
    assert report["quiet"]["events"] == 0 and len(report["quiet"]["per_video"]) == 2


def test_clips_may_be_watched_as_they_are_only(
    clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--drawn", "1", "--people", "drawn00", "--minutes", "0.1", "--video-minutes", "0.1", "--rest", "0"]
    argv += ["--fps", "10", "--videos", str(clips), "--clip-people", "anna", "--clip-minutes", "0", "--json", "-"]
    assert run_with(monkeypatch, command_spot_eval, FakeRecognizer(), *argv) == 0
    report = json.loads(capsys.readouterr().out)
    (anna,) = report["clips"]
    assert anna["acted"] is None and anna["why_not"] == "" and list(report["groups"]) == ["made videos"]

"""Made long videos from their sheets to scores: watched by the live program, gone on with, spread over processes and Ray."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.long_video_trees import MadeVideo
from tests.helpers.made_long_videos import LAYOUTS, SHORT, make_long_dataset
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S, alive, children, until
from train.__main__ import main
from train.challenge import finder as finders
from train.challenge.spot_folder import SpotDir, scored_video

Made = tuple[Path, list[MadeVideo]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two people, a video of seven seconds each, with two micro-expressions in either."""
    root = tmp_path_factory.mktemp("made") / "data"
    return root, make_long_dataset("casme2-long", root)


@pytest.fixture(scope="module")
def reference(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run in one process."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(flags(made, out, "--jobs", "1")) == 0
    return out


def flags(made: Made, out: Path, *more: str, dataset: str = "casme2-long") -> list[str]:
    return ["spot-score", "--dataset", dataset, "--root", str(made[0]), "--out", str(out), *more]


def copied(run: Path, out: Path) -> SpotDir:
    shutil.copytree(run, out)
    return SpotDir(out)


def scores(run: Path) -> dict:
    return json.loads((run / "scores.json").read_text())


def same(one: Path, other: Path) -> bool:
    """To the bytes, but for the command."""
    told = [json.loads((run / "settings.json").read_text()) | {"command": ""} for run in (one, other)]
    names = ("videos.jsonl", "scores.json", "predictions-megc2021.csv", "predictions-megc2023.csv")
    return told[0] == told[1] and all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    def watch_here(*args: object, **kwargs: object) -> None:
        raise AssertionError("a video is watched")

    monkeypatch.setattr(finders, "watch_here", watch_here)


def test_the_live_program_finds_what_was_made(reference: Path, made: Made) -> None:
    told = scores(reference)
    true = [event for video in made[1] for event in video.events]
    assert (told["videos_n"], told["subjects_n"], told["micro"]["n"]) == (2, 2, len(true)) and len(true) == 4
    assert told["micro"]["tp"] == 3 and told["micro"]["f1"] > 0.8
    assert told["micro"]["chance"]["f1"] < 0.3
    assert told["macro"]["n"] == 0 and told["overall"]["f1"] == told["micro"]["f1"]
    assert 0 < told["strs"] <= told["micro"]["f1"]
    assert told["timing"]["micro"]["apex"]["median_ms"] <= 50
    assert told["statuses"]["ok"] > 300 and told["remarks"] == [] and told["notes"] == []
    assert told["sensitivity"]["choose"] == "fixed" and "the model's own" in told["sensitivity"]["in_words"]
    assert told["published"]["rows"]

    lines = [json.loads(line) for line in (reference / "videos.jsonl").read_text().splitlines()]
    assert [(line["subject"], line["video"]) for line in lines] == [(v.subject, v.video) for v in made[1]]
    for line, video in zip(lines, made[1], strict=True):
        read = scored_video(line)
        assert [(e.onset, e.apex, e.offset) for e in read.truth] == [(e.onset, e.apex, e.offset) for e in video.events]
        assert (read.first, read.last, read.fps) == (1, 210, 30.0)
        # The first seconds are spent on getting to know the face.
        assert 2 < (read.watchable_s or 0) < read.seconds == 7.0
        assert Path(line["pictures"]["path"], "img210.jpg").is_file()
    least = told["min_probability"]
    counting = [
        [line["video"], str(e["onset"]), str(e["offset"]), "me"]
        for line in lines for e in line["found"] if e["probability"] >= least
    ]  # fmt: skip
    rows = list(csv.reader((reference / "predictions-megc2021.csv").open()))
    assert rows == [["vid", "pred_onset", "pred_offset", "type"], *counting]


def test_a_finished_run_is_scored_anew_and_nothing_watched_again(
    reference: Path, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    nobody_watches(monkeypatch)
    run = copied(reference, tmp_path / "run")
    assert main(flags(made, run.path)) == 0
    assert same(reference, run.path)
    assert "F1" in capsys.readouterr().out
    assert main(flags(made, run.path, "--rules", "softnet", "--choose", "loso", "--json", "-")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == scores(run.path)
    assert (told["rules"], told["sensitivity"]["choose"]) == ("softnet", "loso")
    by_subject = told["sensitivity"]["by_subject"]
    assert set(by_subject) == {video.subject for video in made[1]}
    assert json.loads(run.settings.read_text())["min_probability"] is None
    assert (run.path / "videos.jsonl").read_bytes() == (reference / "videos.jsonl").read_bytes()
    assert main(flags(made, run.path, "--min-probability", "1")) == 0
    assert scores(run.path)["micro"]["tp"] == 0 and "as asked for" in scores(run.path)["sensitivity"]["in_words"]


def test_predictions_are_scored_as_our_own_are(
    reference: Path, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_watches(monkeypatch)
    ours = scores(reference)
    for name in ("predictions-megc2021.csv", "predictions-megc2023.csv"):
        out = tmp_path / name
        assert main(flags(made, out, "--predictions", str(reference / name))) == 0
        told = scores(out)
        assert told["micro"] == ours["micro"] and told["timing"]["micro"]["onset"] == ours["timing"]["micro"]["onset"]
        assert told["watchable_minutes"] is None and told["recognition"] is None and told["by"] == "predictions"
        assert (out / "predictions-megc2021.csv").read_bytes() == (reference / "predictions-megc2021.csv").read_bytes()
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("vid,onset,offset,type\n99_9999,1,9,me\n")
    assert main(flags(made, tmp_path / "no", "--predictions", str(wrong))) == 2
    assert not (tmp_path / "no").exists()


def test_other_data_another_model_and_other_settings_are_refused(
    reference: Path, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = copied(reference, tmp_path / "run")
    for more, message in (
        (["--limit-videos", "1"], "holds a run with other settings (notes was"),
        (["--max-frames", "12"], "holds a run with other settings (notes was"),
        (["--contempt", "left-out"], "class_map was"),
        (["--predictions", str(run.predictions_2021)], "predictions_sha256 was None"),
    ):
        assert main(flags(made, run.path, *more)) == 2
        assert message in capsys.readouterr().err
    settings = json.loads(run.settings.read_text())
    run.settings.write_text(json.dumps(settings | {"model_sha256": "another"}))
    assert main(flags(made, run.path)) == 2
    assert "model_sha256 was 'another'" in capsys.readouterr().err
    fewer = tmp_path / "fewer"
    shutil.copytree(made[0], fewer)
    next(fewer.rglob("img210.jpg")).unlink()
    run.settings.write_text(json.dumps(settings | {"roots": [str(fewer)]}))
    assert main(flags((fewer, made[1]), run.path)) == 2
    assert "(the videos or their events changed)" in capsys.readouterr().err
    assert run.videos.read_bytes() == (reference / "videos.jsonl").read_bytes()


def test_what_is_left_out_is_in_the_result(reference: Path, made: Made, tmp_path: Path) -> None:
    """The predictions of a part of the dataset, which need no watching."""
    who = made[1][1].subject
    more = ["--predictions", str(reference / "predictions-megc2021.csv"), "--subjects", who, "--max-frames", "12"]
    assert main(flags(made, tmp_path / "run", *more)) == 0
    told = scores(tmp_path / "run")
    assert list(told["by_subject"]) == [who]
    long, part = told["notes"]
    assert "more than 12 frames are left out: 2 of 4" in long
    assert part == f"not the whole dataset: 1 of 2 videos (--subjects {who})"
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["notes"] == told["notes"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--jobs", "0"], "--jobs: expected 1 or more, found 0"),
        (["--max-frames", "0"], "--max-frames: expected 1 or more, found 0"),
        (["--limit-videos", "0"], "--limit-videos: expected 1 or more, found 0"),
        (["--min-probability", "1.5"], "--min-probability: expected a number from 0 to 1, found 1.5"),
        (["--min-probability", ".5", "--choose", "loso"], "--min-probability goes with --choose fixed"),
        (["--refit"], "--refit goes with --choose loso"),
        (["--subjects", "s19,anna"], "--subjects: expected some of s19, s20, found anna"),
        (["--label-map", "7"], "--label-map: expected classes that the model tells (negative, positive, surprise"),
        (["--predictions", "none.csv"], "none.csv: expected a sheet's file, found none"),
        (["--predictions", "none.csv", "--model", "m.onnx"], "--model does not go with --predictions"),
        (["--predictions", "none.csv", "--jobs", "2"], "--ray and --jobs do not go with --predictions"),
        (["--model", "none.onnx"], "none.onnx"),
        (["--json", "nowhere/x.json"], "nowhere/x.json: expected an existing folder to write into"),
    ],
)
def test_flags_that_do_not_fit(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture, more: list[str], message: str
) -> None:
    assert main(flags(made, tmp_path / "run", *more)) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_without_ray_the_line_says_how_to_install_it(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(flags(made, tmp_path / "run", "--ray", "local")) == 2
    assert "Ray is not installed" in capsys.readouterr().err and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_killed_and_gone_on_with_it_ends_as_if_it_never_stopped(reference: Path, made: Made, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "train", *flags(made, out, "--jobs", "1")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: (out / "videos.jsonl").is_file() and "\n" in (out / "videos.jsonl").read_text(), process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    before = (out / "videos.jsonl").read_text()
    assert before.count("\n") == 1 and not (out / "scores.json").exists()
    with (out / "videos.jsonl").open("a") as torn:  # as a kill in the middle of writing leaves it
        torn.write('{"subject": "s20", "video": "20_')
    assert main(flags(made, out, "--jobs", "2")) == 0
    assert same(reference, out)


@pytest.mark.slow
def test_two_workers_of_ray_give_the_same_as_one_process(reference: Path, made: Made, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    assert main(flags(made, tmp_path / "ray", "--ray", "local", "--jobs", "2")) == 0
    assert same(reference, tmp_path / "ray")
    assert sys.modules["ray"].is_initialized() is False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_run_and_its_workers_with_one_line(made: Made, tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "train", *flags(made, tmp_path / "run", "--jobs", "2")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:  # fmt: skip
        until(lambda: len(children(process.pid)) >= 3, process)  # two workers, and Python's tracker of resources
        workers = children(process.pid)
        os.killpg(process.pid, number)  # as a terminal or a service manager does, to all of them
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (130, "")
    opening, stopped = [line for line in err.splitlines() if line]
    assert "2 videos of 2 subjects, 0 done" in opening
    assert stopped == "stopped; videos that are done are kept: give the same command again to go on"
    until(lambda: not any(map(alive, workers)))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["samm-long", "casme3"])
def test_the_other_layouts(dataset: str, tmp_path: Path) -> None:
    """SAMM Long Videos at 200 frames a second, and CAS(ME)³ with the camera's numbers, gaps and a damaged picture."""
    made = make_long_dataset(dataset, tmp_path / "data", people=1, seed=5, script=SHORT)
    (video,) = made
    layout = LAYOUTS[dataset]
    if layout.gaps:
        damaged = next((tmp_path / "data").rglob(f"{video.numbers[60]}.jpg"))
        damaged.write_bytes(b"\xff\xd8\xff no picture")
    assert main(flags((tmp_path / "data", made), tmp_path / "run", "--jobs", "1", dataset=dataset)) == 0
    told = scores(tmp_path / "run")
    assert told["micro"]["n"] == len(video.events) == 2 and told["micro"]["f1"] == 1.0
    assert told["micro"]["chance"]["f1"] < 0.3
    read = scored_video(json.loads((tmp_path / "run" / "videos.jsonl").read_text()))
    assert (read.first, read.last, read.fps) == (layout.first, video.numbers[-1], layout.fps)
    assert [e.onset for e in read.truth] == [e.onset for e in video.events]
    if layout.gaps:
        assert told["statuses"]["unreadable"] == 1
        (remark,) = told["remarks"]
        assert remark.endswith(f"pictures left out that cannot be read: 1, the first {damaged}")


@pytest.mark.slow
def test_macro_expressions_are_found_too(tmp_path: Path) -> None:
    script = replace(SHORT, duration_s=13.0, lead_s=3.0, gap_min_s=5.5, gap_max_s=6.0, macro_share=1.0)
    made = make_long_dataset("casme2-long", tmp_path / "data", people=1, seed=4, script=script)
    assert main(flags((tmp_path / "data", made), tmp_path / "run", "--jobs", "1")) == 0
    told = scores(tmp_path / "run")
    assert told["macro"]["n"] >= 1 and told["macro"]["tp"] >= 1
    assert told["overall"]["n"] == told["macro"]["n"] + told["micro"]["n"]
    assert ",mae\n" in (tmp_path / "run" / "predictions-megc2023.csv").read_text()

"""`python -m train`: what a person at the terminal gets to see."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import train.fit.fit
from tests.helpers.face_folders import write_frames
from tests.helpers.stores import CLASSES, write_store
from train.__main__ import main
from train.clips.store import ClipStore
from train.files import write_with

SMALL = [
    "--variant",
    "plain",
    "--input",
    "difference",
    "--size-px",
    "32",
    "--epochs",
    "2",
    "--batch",
    "8",
    "--jobs",
    "1",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store(tmp_path_factory.mktemp("data") / "fake")


def fails(argv: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line on standard error of a command that must end with `code`."""
    assert main(argv) == code
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1, error
    return error


def test_a_run_from_a_file_and_flags_then_measured(store, tmp_path, capsys, monkeypatch):
    config, out = tmp_path / "config.yaml", tmp_path / "run"
    config.write_text(f"data: {store.path}\nepochs: 1\nseed: 3\nvalidation_people: [dot]\n")
    flags = ["fit", "--config", str(config), "--out", str(out), *SMALL]

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train.fit.fit.Trainer, "train", stopped)
        assert main(flags) == 130
    told = capsys.readouterr().err
    assert f"stopped; go on with: python -m train fit --config {out}/config.yaml" in told
    assert main(["fit", "--config", f"{out}/config.yaml"]) == 0
    told = capsys.readouterr()
    assert f"resuming {out}: difference 9×32×32×1, 18 clips of 3 people, validated on 6 clips of 1 more" in told.err
    assert "epoch 2/2: loss" in told.err
    assert "chance UF1" in told.out
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["validation_people"] == ["fake/dot"]
    assert metrics["command"] == f"python -m train fit --config {out}/config.yaml"
    assert "finished run" in fails(flags, capsys)
    assert main(["eval", "--data", str(store.path), "--model", str(out), "--people", "dot", "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {name: report[name] for name in ("n", "uf1", "confusion")} == {
        name: metrics[name] for name in ("n", "uf1", "confusion")
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data", "DATA"], "out: nothing given; add --out RUN"),
        (["--out", "OUT"], "data: nothing given; add --data DIR"),
        (["--data", "OUT/no", "--out", "OUT/run"], "expected a clip store (a folder), found none"),
        (["--data", "OUT", "--out", "OUT/run"], "manifest.json: missing"),
        (["--data", "DATA", "--out", "OUT", "--epochs", "0"], "epochs: expected 1 or more, found 0"),
        (["--data", "DATA", "--out", "OUT", "--size-px", "64"], "at most the crop's 32"),
        (
            ["--data", "DATA", "--out", "OUT", "--input", "pixels", "--colour", "rgb"],
            "holds grey clips; use --colour grey",
        ),
        (
            ["--data", "DATA", "--out", "OUT", "--validation-people", "eve"],
            "--validation-people: expected people of the data",
        ),
        (["--data", "DATA", "--out", "OUT", "--exclude-people", "ann,bob,cid,dot"], "expected some to train on"),
        (["--data", "DATA", "--out", "OUT", "--class-weights", "1,2"], "class_weights: expected one a class"),
        (["--data", "DATA", "--out", "OUT", "--class-weights", "heavy"], "class_weights: expected auto, paper"),
        (["--config", "OUT/none.yaml"], "expected a YAML or JSON config file"),
        (["--data", "DATA", "--out", "OUT/file"], "expected a folder for the run, found a file"),
    ],
)
def test_bad_flags_get_one_clear_line_and_exit_2(store, tmp_path, capsys, flags, message):
    (tmp_path / "file").write_text("")
    given = [flag.replace("DATA", str(store.path)).replace("OUT", str(tmp_path)) for flag in flags]
    chosen = given if "--size-px" in given or "--epochs" in given else ["--size-px", "32", *given]
    assert message in fails(["fit", *chosen], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_class_without_training_clips_is_refused(tmp_path, capsys):
    write_store(tmp_path / "data", people=("ann",), class_names=CLASSES)
    records = (tmp_path / "data" / "clips.jsonl").read_text().replace('"label": "surprise"', '"label": "positive"')
    (tmp_path / "data" / "clips.jsonl").write_text(records)
    flags = [
        "fit",
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "run"),
        "--validation-share",
        "0",
        "--size-px",
        "32",
    ]
    assert "class 'surprise': expected training clips, found none among 6" in fails(flags, capsys)


def test_failures_while_running_exit_1_and_show_a_traceback_only_with_debug(store, tmp_path, capsys, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(train.fit.fit, "fit", fail)
    flags = ["fit", "--data", str(store.path), "--out", str(tmp_path / "run"), *SMALL]
    assert "RuntimeError: out of memory (--debug shows where)" in fails(flags, capsys, code=1)
    with pytest.raises(RuntimeError):
        main([*flags, "--debug"])


def test_a_file_that_cannot_be_written_is_named_and_told_what_to_do(store, tmp_path, capsys, monkeypatch):
    def full(path: Path) -> None:
        path.write_text("a part of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*_: object, **__: object) -> None:
        write_with(tmp_path / "metrics.json", full)

    monkeypatch.setattr(train.fit.fit, "fit", fail)
    told = fails(["fit", "--data", str(store.path), "--out", str(tmp_path / "run"), *SMALL], capsys, code=1)
    assert (
        told == f"train: {tmp_path}/metrics.json: no space left on device; make room and give the same command again\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_whoever_reads_the_output_may_stop_reading(tmp_path):
    write_frames(tmp_path / "negative" / "ann_1", range(2))
    command = [sys.executable, "-m", "train", "list", "--dataset", "folder", "--root", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.parametrize(
    "argv", [[], ["fly"], ["fit", "--input", "edges"], ["fit", "--epochs", "many"], ["fit", "--class-weights", "1,x"]]
)
def test_what_argparse_refuses(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"), [(["--help"], "synth"), (["fit", "--help"], "examples:"), (["eval", "--help"], "examples:")]
)
def test_help_teaches(argv, said, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 0
    assert said in capsys.readouterr().out

"""Whole leave-one-subject-out runs: killed and gone on with, in several processes, on Ray; and single folds."""

import argparse
import io
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S, alive, children, until
from tests.helpers.runs import write_run
from tests.helpers.stores import CLASSES, FRAMES, LEAD_FRAMES, write_store
from train.__main__ import main
from train.clips.samples import Samples, leave_one_out, load_features, open_stores, run_contract, samples_of
from train.commands import loso as command_loso
from train.config_file import config_from
from train.errors import TrainError, UsageError
from train.fit.pretrained import Pretrained, open_pretrained, transfer
from train.loso.fold_job import FoldData, FoldFailure, FoldJob, FoldResult
from train.loso.loso import LosoSettings, lacking, loso
from train.loso.workers import FoldProgress, local_folds

PEOPLE = ("ann", "bob", "cid", "dot")
RECIPE = {"variant": "plain", "input": "difference", "size_px": 32, "epochs": 2, "workers": 1, "batch": 5}
RECIPE |= {"noise": 0.05, "rotate": 3.0, "validation_share": 0.3}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two datasets of four people each, who have the same names: eight people, three classes, a clip of each."""
    folder = tmp_path_factory.mktemp("data")
    one = write_store(folder / "one", PEOPLE, clips_each=1, dataset="one")
    two = write_store(folder / "two", PEOPLE, clips_each=1, dataset="two", seed=1)
    return str(one.path), str(two.path)


def settings(data: tuple[str, ...], out: Path, **changes: Any) -> LosoSettings:
    own = {name: changes.pop(name) for name in ("seeds", "scheme", "pretrain") if name in changes}
    config = config_from(RECIPE | {"data": list(data), "out": str(out)} | changes)
    return LosoSettings(config, **({"protocol": "published", "select": "validation", "seeds": 1} | own))


@pytest.fixture(scope="module")
def reference(data, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, str]:
    """An uninterrupted run, its folds one after the other in one process; its scores, and what it said."""
    out, console = tmp_path_factory.mktemp("runs") / "whole", quiet()
    scores = loso(settings(data, out), console, workers=1, command="python -m train loso")
    return out, scores, said(console)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def predictions(run: Path) -> dict[tuple, dict]:
    found = lines(run / "predictions.jsonl")
    keyed = {(line["seed"], line["fold"], line["id"]): line for line in found}
    assert len(keyed) == len(found)
    return keyed


def folds(run: Path) -> dict[str, dict]:
    """The folds' lines without what is timed."""
    found = lines(run / "folds.jsonl")
    assert len({line["fold"] for line in found}) == len(found)
    return {line["fold"]: {k: v for k, v in line.items() if k not in ("seconds", "clips_per_s")} for line in found}


def flags(data: tuple[str, ...], out: Path) -> list[str]:
    given = [f"--{name.replace('_', '-')}={value}" for name, value in RECIPE.items()]
    return ["loso", "--data", *data, "--out", str(out), "--protocol", "published", "--select", "validation",
            "--seeds", "1", *given]  # fmt: skip


# Whole runs


@pytest.mark.slow
def test_a_run_tests_every_clip_once_and_keeps_the_answers_of_every_epoch(reference, data):
    out, scores, told = reference
    samples = {line["id"]: line for line in lines(out / "samples.jsonl")}
    assert len(samples) == 24
    assert {line["person"] for line in samples.values()} == {f"{d}/{p}" for d in ("one", "two") for p in PEOPLE}
    assert {(line["store"], line["row"]) for line in samples.values()} == {(d, r) for d in data for r in range(12)}
    answers = predictions(out)
    assert {key[2] for key in answers} == set(samples)
    for (_, fold, sample), line in answers.items():
        assert fold == samples[sample]["person"]
        assert line["label"] == samples[sample]["label"]
        assert sum(line["probabilities"].values()) == pytest.approx(1)
        assert line["answer"] == max(line["probabilities"], key=line["probabilities"].get)
    for person, fold in folds(out).items():
        assert len(fold["validation_people"]) == 2
        assert person not in fold["validation_people"]
        assert (fold["train_n"], fold["test_n"], len(fold["epochs"])) == (15, 3, 2)
        best = max(fold["epochs"], key=lambda e: (e["val_uf1"], -e["val_loss"]))
        assert fold["epoch"] == best["epoch"]
        # The honest answers are those of the epoch that the validation people chose.
        chosen = fold["test_epochs"]["answers"][fold["epoch"] - 1]
        assert [CLASSES[i] for i in chosen] == [answers[0, person, i]["answer"] for i in fold["test_epochs"]["ids"]]
    head = json.loads((out / "loso.json").read_text())
    assert (head["scheme"], head["seeds"], head["class_names"]) == ("cde", [0], list(CLASSES))
    assert scores == json.loads((out / "scores.json").read_text())
    assert scores["parts"]["composite"]["n"] == 24
    assert "24 clips of 8 people; 8 folds (1 seed), 0 done; cde" in told
    assert "fold 8/8, two/dot (seed 0): " in told


@pytest.mark.slow
def test_killed_in_the_middle_and_gone_on_with_in_two_processes_it_ends_as_if_it_never_stopped(
    reference, data, tmp_path
):
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "train", *flags(data, out), "--jobs", "2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: (out / "folds.jsonl").is_file() and "\n" in (out / "folds.jsonl").read_text(), process)
        workers = children(process.pid)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len(workers) >= 2
    until(lambda: not any(map(alive, workers)))
    before = lines(out / "folds.jsonl")
    assert 1 <= len(before) < 8
    with (out / "predictions.jsonl").open("a") as torn:  # as a kill in the middle of writing leaves it
        torn.write('{"seed": 0, "fold": "one/ann", "id": "one/cl')
    console = quiet()
    scores = loso(settings(data, out), console, workers=2)
    assert f"8 folds (1 seed), {len(before)} done" in said(console)
    assert lines(out / "folds.jsonl")[: len(before)] == before
    assert predictions(out) == predictions(reference[0])
    assert folds(out) == folds(reference[0])
    assert scores["parts"] == reference[1]["parts"]


@pytest.mark.slow
def test_ray_gives_the_same_answers_as_one_process(reference, data, tmp_path):
    """Two workers of a local Ray cluster finish a run of which five folds are done."""
    pytest.importorskip("ray")
    out = tmp_path / "ray"
    shutil.copytree(reference[0], out)
    (out / "scores.json").unlink()
    done = lines(out / "folds.jsonl")[:5]
    (out / "folds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in done))
    console = quiet()
    loso(settings(data, out), console, workers=2, ray="local")
    assert "8 folds (1 seed), 5 done" in said(console)
    assert "the folds wait" not in said(console)
    assert predictions(out) == predictions(reference[0])
    assert folds(out) == folds(reference[0])
    assert sys.modules["ray"].is_initialized() is False


@pytest.mark.slow
def test_ray_where_paths_hold_spaces(data, tmp_path):
    """An environment and a folder for temporary files whose names would be two words for a shell."""
    pytest.importorskip("ray")
    environment, temporary = tmp_path / "an environment", tmp_path / "temporary files"
    temporary.mkdir()
    environment.mkdir()
    for name in ("lib", "pyvenv.cfg"):
        (environment / name).symlink_to(Path(sys.prefix) / name)
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    command = [str(environment / "bin" / "python"), "-m", "train", *flags(data, tmp_path / "a run"), "--ray", "local"]
    done = subprocess.run(
        [*command, "--epochs", "1", "--jobs", "2"], cwd=ROOT, env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True, text=True, timeout=DEADLINE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a run" / "scores.json").exists()


@pytest.mark.slow
def test_a_full_ray_cluster_is_told_of(data, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "available_resources", lambda: {"GPU": 1.0})
    console = quiet()
    folds = loso(settings(data, tmp_path / "out", epochs=1), console, workers=1, ray="local")
    assert folds and "--ray local: others use all of the cluster; the folds wait" in said(console)


def test_a_ray_address_that_does_not_answer_is_told_of(data, tmp_path):
    """Something takes the connection, and never says a word."""
    pytest.importorskip("ray")
    code = "import sys, model.ray_cluster as r; r._START_S = 3.0; from train.__main__ import main; sys.exit(main(sys.argv[1:]))"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-c", code, *flags(data, tmp_path / "run"), "--ray", address]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 2
    # Where ending takes long, Ray's native code has time to complain after our line, which is the last but for that.
    told = [line for line in done.stderr.splitlines() if "rpc_client.h" not in line]
    assert told[-1].endswith(f"--ray {address}: no Ray cluster answered within 3 s"), done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_run_and_its_workers_with_one_line(data, tmp_path, number):
    command = [sys.executable, "-m", "train", *flags(data, tmp_path / "run"), "--jobs", "2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:  # fmt: skip
        until(lambda: len(children(process.pid)) >= 3, process)  # two workers, and Python's tracker of resources
        workers = children(process.pid)
        os.killpg(process.pid, number)  # as a terminal or a service manager does, to all of them
        told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert told[0] == ""
    told_lines = [line for line in told[1].splitlines() if line]
    assert len(told_lines) == 2, told[1]
    opening, stopped = told_lines
    assert "0 done" in opening
    assert stopped == "stopped; finished folds are kept: give the same command again to go on"
    until(lambda: not any(map(alive, workers)))


# Single folds


def fold_data(data: tuple[str, ...], config: Any) -> FoldData:
    stores = open_stores(data)
    return FoldData(load_features(stores, run_contract(config, stores), config).files, samples_of(stores))


@pytest.mark.slow
def test_the_published_protocol_changes_nothing_in_the_honest_answers_and_pretraining_does(
    reference, data, tmp_path, monkeypatch
):
    monkeypatch.setattr("train.loso.workers.FOLDS_A_PROCESS", 1)  # the second fold gets a process of its own
    config = settings(data, tmp_path).config
    shared = fold_data(data, config)
    last = leave_one_out(shared.samples.people, "cde", 0.3, 0)[-1]
    write_run(tmp_path / "run", class_names=(*CLASSES, "neutral"))
    pretrained = Pretrained(str(tmp_path / "run" / "model.keras"), (*CLASSES, "neutral"))
    # One class is in the test clips alone: it cannot be learnt, but a fold without it must be trained all the same.
    lacking = replace(last, train=last.train[shared.samples.labels[last.train] != 2])
    jobs = [
        FoldJob(config, last),
        FoldJob(replace(config, class_weights="balanced"), lacking, pretrained=pretrained),
    ]
    processes: list[int | None] = []
    started = lambda _: processes.extend(child.pid for child in multiprocessing.active_children())  # noqa: E731
    honest, other = local_folds(shared, jobs, 1, started)
    assert len(set(processes)) == 2
    assert honest.test_answers is None
    before = [line for key, line in predictions(reference[0]).items() if key[1] == last.person]
    for row, answer in zip(honest.rows, honest.probabilities, strict=True):
        (line,) = (line for line in before if line["id"] == shared.samples.ids[row])
        np.testing.assert_array_equal(answer, np.float32([line["probabilities"][name] for name in CLASSES]))
    assert other.train_n == 10
    assert np.abs(other.probabilities - honest.probabilities).max() > 1e-3
    assert np.isfinite(other.epochs[0].loss)


def test_a_worker_that_dies_and_a_fold_that_fails_are_one_clear_line(data, tmp_path):
    config = settings(data, tmp_path).config
    shared = fold_data(data, config)
    jobs = [FoldJob(config, split) for split in leave_one_out(shared.samples.people)]

    def kill(_: FoldJob) -> None:
        (worker,) = multiprocessing.active_children()
        worker.kill()

    with pytest.raises(TrainError, match=r"fold one/ann \(seed 0\): its process died \(SIGKILL: perhaps out of memory"):
        list(local_folds(shared, jobs, 1, kill))
    assert multiprocessing.active_children() == []
    gone = replace(shared, features=(str(tmp_path / "none.npy"),))
    with pytest.raises(TrainError, match=r"fold one/ann \(seed 0\): FileNotFoundError.*none.npy"):
        list(local_folds(gone, jobs, 1, lambda _: None))
    assert multiprocessing.active_children() == []
    assert isinstance(FoldFailure("no", True, "here").error(), UsageError)


# Pretrained runs


def pretrained_run(path: Path, data: tuple[str, ...], people: list[str], **changes: Any) -> Path:
    """What `fit` leaves, with an untrained network of four classes."""
    write_run(path, class_names=(*CLASSES, "neutral"))
    (path / "data.json").write_text(json.dumps({"train": {"people": people}, "validation": {"people": []}}))
    config = config_from(RECIPE | {"data": list(data), "out": str(path)} | changes)
    (path / "config.yaml").write_text(yaml.safe_dump(config.to_dict()))
    return path


def test_pretrained_weights_are_taken_but_for_the_last_layer_and_the_scaling(data, tmp_path):
    from model.network import build_network, load_network

    config = settings(data, tmp_path / "out").config
    contract = run_contract(config, open_stores(data))
    run = pretrained_run(tmp_path / "run", data, ["synthetic/s1"])
    pretrained, differences = open_pretrained(run, config, contract, ["one/ann"])
    assert differences == []
    assert pretrained.class_names == (*CLASSES, "neutral")
    network = build_network(config.network_config(FRAMES - LEAD_FRAMES, 3, (0.5, 7.0)))
    fresh = {layer.name: layer.get_weights() for layer in network.layers}
    transfer(pretrained, network, CLASSES)
    source = {layer.name: layer.get_weights() for layer in load_network(run / "model.keras").layers}
    assert (network.get_layer("scaling").offset, network.get_layer("scaling").scale) == (0.5, 7.0)
    moved = 0
    for layer in network.layers:
        expected = fresh if layer.name == "logits" else source
        for one, two in zip(layer.get_weights(), expected[layer.name], strict=True):
            np.testing.assert_array_equal(one, two)
        moved += layer.name != "logits" and any(
            np.any(w != f) for w, f in zip(layer.get_weights(), fresh[layer.name], strict=True)
        )
    assert moved > 5
    four = build_network(config.network_config(FRAMES - LEAD_FRAMES, 4, (0.0, 1.0)))
    transfer(pretrained, four, (*CLASSES, "neutral"))
    np.testing.assert_array_equal(four.get_layer("logits").get_weights()[0], source["logits"][0])
    transfer(pretrained, four, ("neutral", *CLASSES))  # as many classes, but others: nothing is known of them
    wide = build_network(replace(config, variant="paper").network_config(FRAMES - LEAD_FRAMES, 3, (0.0, 1.0)))
    with pytest.raises(UsageError, match=r"model.keras: layer .*: expected weights"):
        transfer(pretrained, wide, CLASSES)


@pytest.mark.parametrize(
    ("people", "theirs", "ours", "message"),
    [
        (["one/bob", "two/dot", "x/y"], {}, {}, r"has seen people of this data \(one/bob, two/dot\).*--exclude-people"),
        (["x/y"], {}, {"input": "flow"}, "input: that run takes difference, this one flow; change --input"),
        (["x/y"], {"variant": "paper"}, {}, "found --variant paper .* there and --variant plain .* here"),
    ],
)
def test_a_pretrained_run_that_does_not_fit_is_refused(data, tmp_path, people, theirs, ours, message):
    run = pretrained_run(tmp_path / "run", data, people, **theirs)
    with pytest.raises(UsageError, match=message):
        loso(settings(data, tmp_path / "out", pretrain=str(run), **ours), quiet(), workers=1)
    assert not (tmp_path / "out").exists()
    (run / "data.json").unlink()
    with pytest.raises(
        UsageError, match=r"expected a finished run of `python -m train fit` with data.json, found none"
    ):
        loso(settings(data, tmp_path / "out", pretrain=str(run)), quiet(), workers=1)


# The command


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--seeds", "0"], "seeds: expected an integer of 1 or more, found 0"),
        (["--jobs", "0"], "jobs: expected 1 or more, found 0"),
        (["--threads", "0"], "threads: expected an integer of 1 or more, found 0"),
        (["--validation-share", "0"], "validation_share: expected more than 0 with --select validation"),
        (["--class-weights", "1,2"], "class_weights: expected one a class (negative, positive, surprise)"),
        (["--exclude-people", "eve"], "--exclude-people: expected people of the data"),
        (["--exclude-people", "ann"], "'ann' is in several datasets; write one/ann or two/ann"),
        (["--pretrain", "nowhere"], "--pretrain nowhere: expected a finished run"),
        (["--json", "nowhere/x.json"], "nowhere/x.json: expected an existing folder to write into"),
        (["--epochs", "0"], "epochs: expected 1 or more, found 0"),
    ],
)
def test_flags_that_do_not_fit(data, tmp_path, capsys, given, message):
    assert main([*flags(data, tmp_path / "run"), *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("select", ["fixed", "validation"])
def test_the_epoch_is_chosen_as_loso_says_whatever_the_fits_file_does(data, tmp_path, select):
    (tmp_path / "fit.yaml").write_text("select: last\naverage: 0.9\n")
    parser = argparse.ArgumentParser()
    command_loso.add_parser(parser.add_subparsers())
    given = ["loso", "--config", str(tmp_path / "fit.yaml"), "--data", str(data[0]), "--out", "o", "--select", select]
    found = command_loso.settings_of(parser.parse_args(given))
    assert (found.select, found.config.select, found.config.average) == (select, "last", 0.9)


def test_without_ray_the_line_says_how_to_install_it(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*flags(data, tmp_path / "run"), "--ray", "local"]) == 2
    assert "Ray is not installed" in (error := capsys.readouterr().err)
    assert "pip install -r requirements-ray.txt" in error
    assert not (tmp_path / "run").exists()


def test_nobody_at_the_address_of_the_cluster(data, tmp_path, capsys):
    pytest.importorskip("ray")
    assert main([*flags(data, tmp_path / "run"), "--ray", "127.0.0.1:1"]) == 2
    assert "--ray 127.0.0.1:1: no Ray cluster answers there" in capsys.readouterr().err


def test_a_class_that_some_folds_cannot_learn_or_choose_by_is_said():
    """Only ann shows surprise."""
    people = ("d/ann", "d/ann", "d/bob", "d/bob", "d/cid", "d/cid", "d/dot", "d/dot")
    labels = np.array([2, 1, 0, 1, 0, 1, 0, 1])
    samples = Samples(CLASSES, tuple("abcdefgh"), people, labels, (None,) * 8, "d", 128)
    fixed = {(0, split.person): split for split in leave_one_out(people)}
    assert lacking(samples, fixed) == [
        "1 of 4 folds: the training people show none of surprise: it cannot be learnt there (d/ann (seed 0))"
    ]
    chosen = {(0, split.person): split for split in leave_one_out(people, "cde", 0.3)}
    without = [p for (_, p), split in chosen.items() if split.validation_people != ("d/ann",)]
    assert (
        f"{len(without)} of 4 folds: the validation people show none of surprise: UF1 counts 0"
        in lacking(samples, chosen)[-1]
    )


def test_progress_shows_the_folds_in_hand_and_what_is_left():
    people = tuple(f"d/{number}" for number in range(8))
    samples = Samples(CLASSES, tuple("abcdefgh"), people, np.zeros(8, np.int64), (None,) * 8, "d", 128)
    jobs = [FoldJob(config_from({"data": "d", "out": "o"}), split) for split in leave_one_out(people)]
    console = Console(file=io.StringIO(), width=200, force_terminal=True, legacy_windows=False)
    with FoldProgress(console, samples, total=10, done=2) as progress:
        for job in jobs[:5]:
            progress.started(job)
        assert "now d/0 (seed 0), d/1 (seed 0), d/2 (seed 0) and 2 more" in shown(progress)
        probabilities = np.float32([[0.5, 0.3, 0.2]])
        result = FoldResult(0, "d/1", 7, (), np.array([1]), probabilities, 1, (), None, seconds=600.0, clips_per_s=9.0)
        progress.finished(result)
        assert "folds 3/10" in shown(progress)
        # Seven folds are left, and four are trained at a time: two rounds of ten minutes.
        assert "about 20 min left, now d/0 (seed 0), d/2 (seed 0), d/3 (seed 0) and 1 more" in shown(progress)


def shown(progress: FoldProgress) -> str:
    """The bar as plain text."""
    console = Console(file=io.StringIO(), width=200)
    console.print(progress)
    return " ".join(said(console).split())

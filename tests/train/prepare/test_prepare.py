"""`python -m train prepare`: from pictures of faces to a clip store."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.contract import Reference
from tests.helpers.face_folders import write_frames
from tests.helpers.paths import ROOT
from tests.helpers.processes import DEADLINE_S, alive, children, until
from train.__main__ import main
from train.clips.features import clip_features
from train.clips.samples import open_stores, run_contract, samples_of
from train.clips.store import ClipStore
from train.errors import UsageError
from train.fit_config import TrainConfig

COUNT = 12
FLAGS = ("--frames", "9", "--lead-frames", "4", "--jobs", "1")

KILLED = """
import os, signal, sys
from contextlib import contextmanager
from train.commands import prepare as command_prepare
from train.__main__ import main

@contextmanager
def killing(*_):
    done = []
    def advance(clips):
        done.append(clips)
        if sum(done) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    yield advance

command_prepare.clip_progress = killing
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, two classes; one clip has no face and one an unreadable picture."""
    root = tmp_path_factory.mktemp("data") / "lab"
    for seed, person in enumerate(("ann", "bob", "cid")):
        for label in ("negative", "positive"):
            write_frames(root / label / f"{person}_1", range(97, 97 + COUNT), seed)
    (root / "negative" / "bob_1" / "img101.png").write_bytes(b"no picture")
    blank = root / "positive" / "dot_1"
    blank.mkdir()
    for number in range(5):
        cv2.imwrite(str(blank / f"img{number}.png"), np.full((256, 256, 3), 90, np.uint8))
    return root


@pytest.fixture(scope="module")
def done(root: Path) -> Path:
    """The store of `root`, in one go and one process."""
    out = root.parent / "done"
    assert main(["prepare", "--dataset", "folder", "--root", str(root), "--out", str(out), *FLAGS]) == 0
    return out


def require_same(found: Path, expected: Path) -> None:
    for name in ("clips.npy", "clips.jsonl"):
        assert (found / name).read_bytes() == (expected / name).read_bytes()
    manifests = [json.loads((path / "manifest.json").read_text()) for path in (found, expected)]
    assert [m.pop("command", "") != "" for m in manifests] == [True, True]
    assert manifests[0] == manifests[1]
    assert not found.with_name(found.name + ".partial").exists()


def test_bad_clips_are_skipped_and_told(done: Path) -> None:
    store = ClipStore.open(done)
    assert len(store) == 6 and store.manifest.class_counts == {"negative": 3, "positive": 3}
    assert store.manifest.left_out == {"lab/dot/positive/dot_1": "no face found on frame 0, the first of the clip"}
    assert [record.notes["source"]["missing"] for record in store.records] == [0, 0, 1, 0, 0, 0]
    assert store.manifest.settings["time_axis"].startswith("stretched")
    assert sorted(path.name for path in done.iterdir()) == ["clips.jsonl", "clips.npy", "manifest.json"]


def test_the_reference_is_the_onset_when_the_window_begins(done: Path) -> None:
    store = ClipStore.open(done)
    assert (store.clips[:, :5] == store.clips[:, 4:5]).all()
    for kind, reference in (("ema", Reference("ema", 2.0)), ("lag", Reference("lag", lag_s=10.0))):
        config = TrainConfig(data=(str(done),), out="run", input="difference", reference=kind, size_px=128)  # type: ignore[arg-type]
        contract = replace(run_contract(config, open_stores([str(done)])), reference=reference)
        features = clip_features(store, 0, contract)
        assert not features[0].any() and features[5].any()
        if kind == "lag":
            change = store.clips[0, 4 + 5].astype(np.float32) - store.clips[0, 4]
            np.testing.assert_array_equal(features[5], change)


def test_two_processes_give_the_same_bytes(root: Path, done: Path, tmp_path: Path) -> None:
    command = ["prepare", "--dataset", "folder", "--root", str(root), "--out", str(tmp_path / "two"), *FLAGS[:-1], "2"]
    assert main(command) == 0
    require_same(tmp_path / "two", done)


def test_a_killed_run_goes_on_and_leaves_no_process(
    root: Path, done: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "killed"
    command = ["prepare", "--dataset", "folder", "--root", str(root), "--out", str(out), *FLAGS[:-1], "2", "--json"]
    # Its workers hold the pipe: that this returns says that they have ended too.
    killed = subprocess.run([sys.executable, "-c", KILLED, *command], capture_output=True, timeout=120)
    assert killed.returncode == -9 and not out.exists()
    pieces = list(out.with_name("killed.partial").glob("clip-*.npz"))
    assert pieces
    pieces[0].write_bytes(pieces[0].read_bytes()[:1000])  # a damaged one is made anew
    command[command.index("--jobs") + 1] = "1"
    assert main(command) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["resumed"] == len(pieces) - 1 and told["clips"] == 6 and len(told["skipped"]) == 1
    require_same(out, done)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_while_workers_start_is_one_line(root: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Workers load their libraries for a second: an interrupt that reached them would end in tracebacks."""
    command = ["prepare", "--dataset", "folder", "--root", str(root), "--out", str(tmp_path / "out"), *FLAGS[:-1], "2"]
    with subprocess.Popen([sys.executable, "-m", "train", *command], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, start_new_session=True) as process:  # fmt: skip
        until(lambda: len(children(process.pid)) >= 3, process)  # two workers, and Python's tracker of resources
        workers = children(process.pid)
        os.killpg(process.pid, number)  # as a terminal or a service manager does, to all of them
        told = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130 and told[0] == ""
    assert told[1].splitlines()[-1] == "stopped; finished clips are kept: give the same command again to go on"
    assert "Traceback" not in told[1] and "Process" not in told[1]
    until(lambda: not any(map(alive, workers)))
    assert not (tmp_path / "out").exists()


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("limit", "pieces"), [(100_000, 0), (500_000, 6)])
def test_files_that_may_not_grow(
    root: Path, done: Path, tmp_path: Path, limit: int, pieces: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk: while the first clip is written, and while the store is put together."""
    out = tmp_path / "out"
    command = ["prepare", "--dataset", "folder", "--root", str(root), "--out", str(out), *FLAGS]
    with file_limit(limit):
        assert main(command) == 1
    told = capfd.readouterr().err.splitlines()[-1]
    assert "file too large; make room and run the command again: it goes on where it was" in told
    assert [path.name for path in tmp_path.iterdir()] == ["out.partial"]
    assert len(list((tmp_path / "out.partial").iterdir())) == pieces
    assert main(command) == 0
    require_same(out, done)


def test_a_full_disk(root: Path, done: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        command = ["prepare", "--dataset", "folder", "--root", str(root), "--out", str(disk / "out"), *FLAGS]
        assert main(command) == 1
        lines = capfd.readouterr().err.splitlines()
        assert "no space left on device; make room" in lines[-1] and not any("Traceback" in line for line in lines)
        kept = [path.suffix for path in (disk / "out.partial").iterdir()]
        assert set(kept) == {".npz"} and len(kept) < 6
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert main(command) == 0
        require_same(disk / "out", done)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_datasets_with_the_same_subjects_stay_apart(root: Path, tmp_path: Path) -> None:
    outs = [tmp_path / name for name in ("one", "two")]
    for out in outs:
        command = ["prepare", "--dataset", "folder", "--root", str(root), "--name", out.name, "--out", str(out)]
        assert main([*command, *FLAGS, "--people", "ann,bob", "--limit-per-person", "2"]) == 0
    samples = samples_of(open_stores([str(out) for out in outs]))
    assert set(samples.people) == {"one/ann", "one/bob", "two/ann", "two/bob"}
    assert len(set(samples.ids)) == len(samples.ids) == 8


def test_a_clip_in_two_stores_is_refused(root: Path, done: Path, tmp_path: Path) -> None:
    command = ["prepare", "--dataset", "folder", "--root", str(root), "--out", str(tmp_path / "again"), *FLAGS]
    assert main([*command, "--people", "bob"]) == 0
    with pytest.raises(
        UsageError, match=r"again: clip lab/bob/negative/bob_1 is in .*done already and would count twice"
    ):
        samples_of(open_stores([str(done), str(tmp_path / "again")]))


def test_people_and_classes_can_be_chosen(root: Path, tmp_path: Path) -> None:
    command = ["prepare", "--dataset", "folder", "--root", str(root), *FLAGS]
    assert main([*command, "--out", str(tmp_path / "a"), "--people", "lab/cid", "--limit-per-person", "1"]) == 0
    assert [record.id for record in ClipStore.open(tmp_path / "a").records] == ["lab/cid/negative/cid_1"]
    chosen = ["--people", "cid", "--classes", "positive", "--preview"]
    assert main([*command, "--out", str(tmp_path / "b"), *chosen]) == 0
    store = ClipStore.open(tmp_path / "b")
    assert store.manifest.class_names == ("positive",) and len(store) == 1
    assert cv2.imread(str(tmp_path / "b" / "preview.png")) is not None


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--strict"], 2, "1 clip skipped, listed above (--strict); the other 6 are kept in"),
        (["--people", "dot"], 2, "none of 1 clip can be used"),
        (["--people", "eve"], 2, "--people: expected people of the data (ann, bob, cid, dot), found 'eve'"),
        (["--classes", "joy"], 2, "--classes: expected some of negative, positive, found joy"),
        (["--frames", "3"], 2, "frames: expected 9 or more, found 3"),
        (["--size-px", "16"], 2, "crop.size_px: expected an integer of 32 or more, found 16"),
        (["--jobs", "0"], 2, "--jobs: expected 1 or more, found 0"),
        (["--limit-per-person", "0"], 2, "--limit-per-person: expected 1 or more, found 0"),
        (["--annotation", "nowhere.csv"], 2, "nowhere.csv: expected it to be there, found nothing"),
    ],
)
def test_one_line_and_the_exit_code(
    root: Path, tmp_path: Path, flags: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["prepare", "--dataset", "folder", "--root", str(root), "--out", str(out), *FLAGS, *flags]) == code
    assert message in capfd.readouterr().err.splitlines()[-1]
    assert not out.exists()


def test_what_cannot_be_prepared_is_refused(
    root: Path, done: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def told(*argv: str) -> str:
        assert main(["prepare", *argv]) == 2
        return capfd.readouterr().err.splitlines()[-1]

    (tmp_path / "empty").mkdir()
    here, folder = ["--root", str(tmp_path / "empty")], ["--dataset", "folder", "--root", str(root)]
    out = ["--out", str(tmp_path / "out")]
    assert "expected clips as <class>/<subject>_<clip>" in told("--dataset", "folder", *here, *out)
    assert "--colour rgb: samm has clips that are grey" in told("--dataset", "samm", *here, *out, "--colour", "rgb")
    assert "already there; choose another folder or add --overwrite" in told(*folder, "--out", str(done))
    # Before anything is read: that takes minutes where the data lie far away.
    assert "already there" in told("--dataset", "folder", "--root", "nowhere", "--out", str(done))
    (tmp_path / "mine.partial").mkdir()
    (tmp_path / "mine.partial" / "letter.txt").write_text("precious")
    assert "found something else; choose another --out" in told(*folder, "--out", str(tmp_path / "mine"), *FLAGS)
    assert (tmp_path / "mine.partial" / "letter.txt").read_text() == "precious"


def test_a_store_is_replaced_when_asked(root: Path, tmp_path: Path) -> None:
    command = ["prepare", "--dataset", "folder", "--root", str(root), "--out", str(tmp_path / "out"), *FLAGS]
    assert main([*command, "--people", "ann"]) == 0
    assert main([*command, "--people", "bob", "--overwrite"]) == 0
    assert set(ClipStore.open(tmp_path / "out").subjects) == {"bob"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_picture_of_impossible_size_is_left_out(tmp_path: Path) -> None:
    """Its header names a width that OpenCV refuses with an error of its own."""
    numbers = range(1, COUNT + 1)
    write_frames(tmp_path / "lab" / "negative" / "ann_1", numbers)
    write_frames(tmp_path / "lab" / "positive" / "ann_1", numbers, seed=1)
    picture = bytearray(cv2.imencode(".bmp", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    picture[18:22] = (0x7FFFFF).to_bytes(4, "little")
    (tmp_path / "lab" / "positive" / "ann_1" / "img12.png").write_bytes(picture)
    command = ["prepare", "--dataset", "folder", "--root", str(tmp_path / "lab"), "--out", str(tmp_path / "out")]
    assert main([*command, "--frames", "9", "--lead-frames", "2", "--jobs", "1"]) == 0
    assert len(ClipStore.open(tmp_path / "out")) == 2

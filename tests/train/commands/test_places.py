"""What commands write is never what they read, and what they read has an end."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import export.__main__ as exporter
from tests.helpers.face_folders import write_frames
from tests.helpers.paths import ROOT
from tests.helpers.runs import write_run
from tests.helpers.stores import write_store
from train.__main__ import main
from train.files import sole_use, write_text


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("places")
    write_store(folder / "store")
    write_run(folder / "run")
    (folder / "photos").mkdir()
    (folder / "photos" / "anna_1.png").write_bytes(b"a portrait")
    (folder / "spec.yaml").write_text("title: nothing\n")
    (folder / "spotted.json").write_text("{}")
    (folder / "fit.yaml").write_text(f"data: {folder}/at/store\n")
    return folder


@pytest.fixture
def at(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "at")
    for name in ("store/clips.npy", "run/model.keras", "photos/anna_1.png"):
        flat = name.replace("/", "-")
        (tmp_path / "at" / f"soft-{flat}").symlink_to(name)
        os.link(tmp_path / "at" / name, tmp_path / "at" / f"hard-{flat}")
    (tmp_path / "at" / "fit.yaml").write_text(f"data: {tmp_path}/at/store\n")
    return tmp_path / "at"


def everything(path: Path) -> dict[Path, bytes]:
    return {found: found.read_bytes() for found in sorted(path.rglob("*")) if found.is_file()}


REFUSED = [
    ("eval --data AT/store --model AT/run --json AT/store/clips.npy", "--json would write over what --data reads"),
    ("eval --data AT/store --model AT/run --json AT/soft-store-clips.npy", "--json would write over what --data reads"),
    ("eval --data AT/store --model AT/run --json AT/hard-run-model.keras", "--json would write over what --model reads"),
    ("eval --data AT/store --model AT/run/model.keras --json AT/run/contract.json", "--json would write over what --model"),
    ("eval --data AT/store --json BUNDLED", "--json would write over what --model reads"),
    ("assess --model AT/run --chart AT/a.png --failures AT/x/../a.png", "--chart and --failures name the same file twice"),
    ("assess --faces AT/photos --chart AT/hard-photos-anna_1.png", "--chart would write over what --faces reads"),
    ("assess --model AT/run AT/run --json AT/run/model.keras", "--json would write over what --model reads"),
    ("augment --data AT/store --out AT/photos/anna_1.png --config AT/photos/anna_1.png", "--out would write over what --config"),
    ("bench --data AT/store --json AT/store/manifest.json", "--json would write over what --data reads"),
    ("bench --generator AT/photos --json AT/photos/anna_1.png", "--json would write over what --generator reads"),
    ("loso --data AT/store --out AT/new --json AT/store/clips.jsonl", "--json would write over what --data reads"),
    ("loso --config AT/fit.yaml --out AT/new --json AT/store/clips.jsonl", "--json would write over what --data reads"),
    ("loso --config AT/fit.yaml --out AT/new --json AT/fit.yaml", "--json would write over what --config reads"),
    ("loso --data AT/store --out AT/new --json AT/new/loso.json", "--json name the same file twice"),
    ("loso --data AT/store --pretrain AT/run --out AT/n --json AT/run/contract.json", "--json would write over what --pretrain"),
    ("ablate --data AT/store --out AT/new --json AT/store/clips.npy", "--json would write over what --data reads"),
    ("experiments AT/spec.yaml --data AT/store --out AT/n --markdown AT/spec.yaml", "--markdown would write over what SPEC reads"),
    ("experiments AT/spec.yaml --data AT/store --test AT/store --out AT/n --json AT/store/clips.npy", "--json would write over"),
    ("spot-eval --faces AT/photos --write AT/photos", "--write would write over what --faces reads"),
    ("spot-eval --faces AT/photos --json AT/photos/anna_1.png", "--json would write over what --faces reads"),
    ("spot-eval --model AT/run/model.onnx --chart AT/a.png --json AT/a-curve.png", "--json and --chart name the same file twice"),
    ("spot-rates --faces AT/photos --json AT/soft-photos-anna_1.png", "--json would write over what --faces reads"),
    ("synth --faces AT/photos --out AT/photos --overwrite", "--out would write over what --faces reads"),
    ("synth --faces AT/store/photos --out AT/store --overwrite", "would be replaced with --faces"),
    ("prepare --dataset synthetic --root AT/store --out AT/store --overwrite", "would be replaced with --root"),
    ("fit --data AT/store --made AT/photos --out AT/photos", "--out would write over what --made reads"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "says"), REFUSED, ids=[argv for argv, _ in REFUSED])
def test_no_command_writes_over_what_it_reads(
    argv: str, says: str, at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundled = ROOT / "model" / "bundled" / "model.onnx"
    (at / "x").mkdir()
    before = everything(at), bundled.read_bytes()
    assert main([word.replace("AT", str(at)).replace("BUNDLED", str(bundled)) for word in argv.split()]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said and len(said.splitlines()) == 1
    assert (everything(at), bundled.read_bytes()) == before


def test_scores_may_lie_in_the_folder_they_are_of(at: Path) -> None:
    (at / "scores.json").symlink_to("run/scores-of-store.json")
    for _ in range(2):
        argv = ["eval", "--data", str(at / "store"), "--model", str(at / "run"), "--json", str(at / "scores.json")]
        assert main(argv) == 0
    assert (at / "scores.json").is_symlink() and json.loads((at / "run" / "scores-of-store.json").read_text())["n"]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("AT/run --out AT/run", "--out would write over what RUN reads"),
        ("AT/run/model.keras --out AT/linked", "--out would write over what RUN reads"),
        ("AT/run --out AT/out --spotting AT/out/parity.json", "--out would write over what --spotting reads"),
    ],
)
def test_an_export_leaves_its_run_alone(argv: str, says: str, at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, target in (("linked", "run/contract.json"), ("out", "spotted.json")):
        (at / name).mkdir()
        (at / name / "parity.json").symlink_to(f"../{target}")
    before = everything(at)
    assert exporter.main([word.replace("AT", str(at)) for word in argv.split()]) == 2
    assert says in capsys.readouterr().err and everything(at) == before


def test_a_writer_follows_links_and_writes_to_devices(tmp_path: Path) -> None:
    (tmp_path / "far.json").write_text("old")
    (tmp_path / "link.json").symlink_to("far.json")
    (tmp_path / "null").symlink_to(os.devnull)
    for name in ("link.json", "null"):
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).is_symlink()
    assert (tmp_path / "far.json").read_text() == "new" and Path(os.devnull).is_char_device()


ENDLESS = [
    ("store/manifest.json", "train eval --data AT/store --model AT/run"),
    ("store/clips.jsonl", "train eval --data AT/store --model AT/run"),
    ("store/clips.npy", "train eval --data AT/store --model AT/run"),
    ("run/contract.json", "train eval --data AT/store --model AT/run"),
    ("run/contract.json", "export AT/run --out AT/out"),
    ("spotted.json", "export AT/run --out AT/out --spotting AT/spotted.json"),
    ("fit.yaml", "train fit --config AT/fit.yaml --out AT/new"),
    ("spec.yaml", "train experiments AT/spec.yaml --data AT/store --out AT/new"),
    ("new/history.jsonl", "train fit --data AT/store --out AT/new --size-px 32 --epochs 1"),
    ("new/predictions.jsonl", "train loso --data AT/store --out AT/new --size-px 32 --epochs 1"),
    ("photos/anna_1.png", "train synth --faces AT/photos --out AT/made --clips 4"),
    ("sheet.csv", "train list --dataset folder --root AT/clips --annotation AT/sheet.csv"),
    ("clips/positive/ann_1/0001.png", "train prepare --dataset folder --root AT/clips --out AT/prepared --strict"),
    ("clips/positive/ann_2.mp4", "train prepare --dataset folder --root AT/clips --out AT/prepared --strict"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["fifo", "zero"])
@pytest.mark.parametrize(("name", "command"), ENDLESS)
def test_what_has_no_end_is_refused(name: str, command: str, kind: str, at: Path) -> None:
    """In a process of its own, which must end by itself."""
    write_frames(at / "clips" / "positive" / "ann_1", (1, 2, 3))
    (at / "new").mkdir()
    if name.startswith("new/"):
        (at / "new" / ("config.yaml" if "history" in name else "loso.json")).write_text("{}")
    (at / name).unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(at / name)
    else:
        (at / name).symlink_to("/dev/zero")
    words = [word.replace("AT", str(at)) for word in command.split()]
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=120)
    # A frame that is none is passed over, with a warning.
    assert done.returncode in ((0,) if name.endswith("0001.png") else (1, 2)), done.stderr
    assert "Traceback" not in done.stderr and Path(name).name in done.stderr + done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")
@pytest.mark.parametrize("command", ["fit", "loso"])
def test_a_folder_that_another_run_fills_is_refused(command: str, at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sole_use(at / "new"):
        words = [command, "--data", str(at / "store"), "--out", str(at / "new"), "--size-px", "32", "--epochs", "1"]
        assert main(words) == 2
        assert f"{at / 'new'}: another run is writing there" in capsys.readouterr().err
    assert not (at / "new").exists()


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
def test_closed_standard_streams_cost_no_result(closed: str, at: Path) -> None:
    command = f"'{sys.executable}' -m train eval --data {at}/store --model {at}/run --json {at}/scores.json {closed}"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, timeout=120).returncode == 0
    assert json.loads((at / "scores.json").read_text())["n"]

"""A classifier that saw the generator's flow pictures only, asked about those of a file."""

import json
from pathlib import Path

import numpy as np
import pytest

from train.__main__ import main
from train.synth.clip import ClipSettings
from train.synth.drawn import drawn_face
from train.transfer.flow_pictures import CLASSES, SIDE_PX, USUAL_EYES, as_numbers
from train.transfer.generator_pictures import generator_pictures

EYES = np.array([USUAL_EYES])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the generator's own pictures, of another face and seed than any that is trained on."""
    pictures, labels = generator_pictures([drawn_face(90)], EYES, 120, 77, ClipSettings())
    path = tmp_path_factory.mktemp("transfer") / "made.npz"
    np.savez(path, uvs=pictures, label=labels, dataset=np.array(["left", "right"] * 60))
    return path


def test_the_same_seed_gives_the_same_pictures_and_another_others():
    faces = [drawn_face(0)]
    pictures, labels = generator_pictures(faces, EYES, 6, 1, ClipSettings())
    again, _ = generator_pictures(faces, EYES, 9, 1, ClipSettings())
    other, _ = generator_pictures(faces, EYES, 6, 2, ClipSettings())
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert np.array_equal(pictures, again[:6]) and not np.array_equal(pictures, other)


def test_surprise_moves_the_brows_up():
    """And what moves lies where the eyes are said to be."""
    pictures, labels = generator_pictures([drawn_face(0)], np.array([[0.5, 0.4]]), 90, 3, ClipSettings())
    vertical = as_numbers(pictures[labels == CLASSES.index("surprise")])[..., 1].mean(axis=0)
    row, _ = np.unravel_index(vertical.argmin(), vertical.shape)
    assert 0.1 * SIDE_PX < row < 0.4 * SIDE_PX and vertical.min() < -0.5


def test_the_command_scores_what_it_never_saw(made, tmp_path, capsys):
    report = tmp_path / "transfer.json"
    command = ["transfer", str(made), "--faces", "drawn:3", "--pictures", "900", "--epochs", "6", "--seeds", "2"]
    assert main([*command, "--json", str(report)]) == 0
    assert "What carries over to real motion" in capsys.readouterr().out
    found = json.loads(report.read_text())
    assert found["n"] == 120 and found["uf1"]["mean"] > 0.6 > 2 * found["chance_uf1"] - 0.1
    assert found["uf1"]["sd"] is not None and np.sum(found["confusion"]) == 240
    assert {name: part["n"] for name, part in found["by_dataset"].items()} == {"left": 60, "right": 60}
    assert found["command"].startswith(f"python -m train transfer {made}")
    assert main([*command, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["uf1"] == found["uf1"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["none.npz"], "none.npz: cannot be read: No such file"),
        (["MADE", "--eyes", "1.5", "0.3"], "--eyes: expected shares of the side, 0 to 1, found 1.5 0.3"),
        (["MADE", "--seeds", "0"], "--seeds: expected 1 or more, found 0"),
        (["MADE", "--pictures", "2"], "--pictures: expected 3 or more, found 2"),
        (["MADE", "--faces", "nowhere"], "nowhere: expected a folder of portraits, found none"),
        (["MADE", "--json", "MADE"], "--json would write over what FIELDS.npz reads"),
    ],
)
def test_bad_flags_get_one_clear_line_and_exit_2(made, capsys, flags, message):
    assert main(["transfer", *(flag.replace("MADE", str(made)) for flag in flags)]) == 2
    assert message in capsys.readouterr().err

"""Published flow pictures: what is read, what is refused, and what a picture of a flow is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.errors import UsageError
from train.transfer.flow_pictures import (
    PICTURE_EYES,
    SIDE_PX,
    USUAL_EYES,
    as_numbers,
    by_dataset,
    mirrored,
    picture_of,
    read_flow_pictures,
)

PICTURES = np.random.default_rng(1).integers(0, 256, (4, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def write(path: Path, **arrays: object) -> Path:
    np.savez(path, **{name: np.asarray(values) for name, values in arrays.items()})
    return path


def test_what_is_read_is_what_was_written(tmp_path):
    path = write(
        tmp_path / "a.npz", uvs=PICTURES, label=[0, 1, 2, 0], dataset=["casme2", "SAMM", "mine", "smic"], person=[1] * 4
    )
    found = read_flow_pictures(path)
    assert np.array_equal(found.pictures, PICTURES)
    assert found.labels.tolist() == [0, 1, 2, 0]
    assert found.datasets == ("casme2", "SAMM", "mine", "smic")
    assert found.eyes.tolist() == [
        list(PICTURE_EYES["casme2"]), list(PICTURE_EYES["samm"]), list(USUAL_EYES), list(PICTURE_EYES["smic"])
    ]  # fmt: skip
    assert read_flow_pictures(path, (0.4, 0.3)).eyes.tolist() == [[0.4, 0.3]] * 4


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"uvs": PICTURES}, "label: missing"),
        ({"label": [0]}, "uvs: missing"),
        (
            {"uvs": PICTURES.astype(np.float32), "label": [0] * 4},
            r"uvs: expected uint8 \(n, 28, 28, 3\), found float32",
        ),
        ({"uvs": PICTURES[:, 1:], "label": [0] * 4}, r"found uint8 \(4, 27, 28, 3\)"),
        ({"uvs": PICTURES[:0], "label": np.zeros(0, int)}, r"found uint8 \(0, 28, 28, 3\)"),
        ({"uvs": PICTURES, "label": [0, 1]}, "label: expected 4 integers"),
        ({"uvs": PICTURES, "label": [0.0, 1, 2, 0]}, "label: expected 4 integers, found float64"),
        ({"uvs": PICTURES, "label": [0, 1, 2, 3]}, "label: expected 0 negative, 1 positive, 2 surprise, found 0 to 3"),
        ({"uvs": PICTURES, "label": [0] * 4, "dataset": [1, 2, 3, 4]}, "dataset: expected 4 names, found int64"),
    ],
)
def test_other_arrays_are_refused_in_one_line(tmp_path, arrays, message):
    with pytest.raises(UsageError, match=message) as refused:
        read_flow_pictures(write(tmp_path / "a.npz", **arrays))
    assert "\n" not in str(refused.value)


def test_other_files_are_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "text.npz").write_text("u,v\n")
    np.savez(tmp_path / "objects.npz", uvs=np.array([{}], object), label=[0])
    for name in ("text.npz", "objects.npz"):
        with pytest.raises(UsageError, match=r"expected a NumPy \.npz file with uvs and label"):
            read_flow_pictures(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_flow_pictures(tmp_path / "none.npz")
    with pytest.raises(UsageError, match="it is a folder"):
        read_flow_pictures(tmp_path)
    monkeypatch.setattr("train.transfer.flow_pictures._MAX_BYTES", 1 << 10)
    with pytest.raises(UsageError, match="expected at most 0 MiB"):
        read_flow_pictures(write(tmp_path / "large.npz", uvs=PICTURES, label=[0] * 4))


def test_a_stretch_has_constant_strain_and_a_shift_none():
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(float)
    stretched = picture_of(np.stack([0.2 * x, 0 * y], axis=-1))
    assert np.ptp(stretched[..., 0]) == 255 and not stretched[..., 1:].any()
    bent = picture_of(np.stack([0.1 * x**2, 0 * y], axis=-1))
    assert (np.diff(bent[1:-1, 1:-1, 2].astype(int), axis=1) > 0).all()  # the further right, the more it is strained
    assert not picture_of(np.full((SIDE_PX, SIDE_PX, 2), 3.0)).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_head_is_zero_and_a_mirror_undoes_itself(seed):
    rng = np.random.default_rng(seed)
    numbers = as_numbers(rng.integers(0, 256, (3, SIDE_PX, SIDE_PX, 3), dtype=np.uint8))
    assert np.abs(np.median(numbers[..., :2], axis=(1, 2))).max() < 1e-6
    chosen = np.array([True, False, True])
    once = mirrored(numbers, chosen)
    assert np.array_equal(once[1], numbers[1])
    assert np.array_equal(once[0, :, 0, 0], -numbers[0, :, -1, 0]) and np.array_equal(
        once[0, :, 0, 1:], numbers[0, :, -1, 1:]
    )
    assert np.array_equal(mirrored(once, chosen), numbers)


def test_rows_by_dataset():
    assert by_dataset(("", "")) == {}
    found = by_dataset(("b", "a", "b"))
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "a": [False, True, False],
        "b": [True, False, True],
    }

"""What comes from others, before it is shown, decoded or loaded; and files for their owner alone."""

import io
import math
import os
import stat
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.panel import Panel
from rich.text import Text

from model.console import CleanConsole
from model.decoding import decode_picture, read_picture
from model.guards import other_model, picture_kind, private_files, shown, table_cell

ORDERS = ("\x1b]52;c;ZXZpbA==\x07", "\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "\x7f", "\u202egnp.exe", "a\rb", "\ud800")
PICTURE = np.random.default_rng(4).integers(0, 256, (24, 32, 3), np.uint8)


@given(st.text())
def test_nothing_that_is_shown_is_an_order(text: str) -> None:
    clean = shown(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or "\u202a" <= c <= "\u202e" for c in clean)
    assert len(clean) == len(text) and isinstance(clean.encode(), bytes) and shown(clean) == clean


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "Zs"))))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("wrapped", [str, Text, Panel])
def test_a_console_passes_no_orders_on(order: str, wrapped: type) -> None:
    out = io.StringIO()
    console = CleanConsole(file=out, force_terminal=False, width=60)
    console.print(wrapped(f"before {order} after"), markup=False)
    said = out.getvalue()
    assert "before" in said and not any(c in said for c in "\x1b\x07\x9b\x7f\u202e\r\ud800")


def test_a_consoles_own_colours_stay() -> None:
    out = io.StringIO()
    CleanConsole(file=out, force_terminal=True, color_system="standard").print("x", style="red")
    assert out.getvalue() == "\x1b[31mx\x1b[0m\n"


@given(st.text())
def test_no_text_cell_is_a_formula(text: str) -> None:
    cell = table_cell(text)
    assert cell.removeprefix("'") == text.removeprefix("'")
    try:
        float(text)
    except ValueError:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    else:
        assert cell == text


@given(st.floats())
def test_numbers_stay_numbers(value: float) -> None:
    assert table_cell(f"{value:.6f}") == f"{value:.6f}" and (
        math.isnan(value) or float(table_cell(repr(value))) == value
    )


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_pictures_of_the_kinds_that_are_needed(suffix: str, tmp_path: Path) -> None:
    data = np.asarray(cv2.imencode(suffix, PICTURE)[1]).tobytes()
    assert picture_kind(data) is not None
    (tmp_path / "p.any").write_bytes(data)
    found, expected = read_picture(tmp_path / "p.any"), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None and np.array_equal(found, expected)


@pytest.mark.parametrize("suffix", [".jp2", ".ppm", ".hdr", ".ras", ".pfm"])
def test_other_kinds_do_not_reach_the_decoder(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = PICTURE.astype(np.float32) if suffix in (".hdr", ".pfm") else PICTURE
    jp2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(64)
    data = jp2 if suffix == ".jp2" else np.asarray(cv2.imencode(suffix, picture)[1]).tobytes()
    (tmp_path / "photo.jpg").write_bytes(data)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert decode_picture(data) is None and read_picture(tmp_path / "photo.jpg") is None


@given(st.binary(max_size=64))
def test_bytes_that_are_no_picture_are_none(data: bytes) -> None:
    assert picture_kind(data) is not None or decode_picture(data) is None


def archive(*names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name in names:
            # Without the time it was made: its bytes name the test, in each process that runs it.
            made.writestr(zipfile.ZipInfo(name), "{}")
    return held.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "Keras .h5"),
        (archive("metadata.json", "config.json", "model.weights.h5"), "a Keras file (.keras)"),
        (archive("archive/data.pkl", "archive/version"), "a PyTorch file"),
        (archive("word/document.xml"), "an archive"),
        (b"PK\x03\x04 torn", "an archive"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(64), "a TensorFlow Lite model"),
        (b"\x80\x02}q\x00." + bytes(64), "a PyTorch file"),
        (b'\x10\x00\x00\x00\x00\x00\x00\x00{"a":{}}', "safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"", "an empty file"),
        (b"classes: 3\n", "a file of text"),
    ],
)
def test_what_is_no_onnx_model_is_called_by_its_name(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    said = other_model(path)
    assert said is not None and what in said and said.startswith(str(path)) and "\n" not in said
    assert "git lfs pull" in said if "LFS" in what else "python -m export" in said


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").touch()
    assert "SavedModel" in str(other_model(tmp_path / "saved"))
    assert f"python -m export {tmp_path / 'run'} --out" in str(other_model(tmp_path / "run"))
    assert "is a folder" in str(other_model(tmp_path))


@pytest.mark.parametrize("before", [0o000, 0o022, 0o077, 0o177])
def test_private_files_are_for_their_owner_and_never_wider_than_the_mask(before: int, tmp_path: Path) -> None:
    was = os.umask(before)
    try:
        with private_files():
            (tmp_path / "folder").mkdir()
            (tmp_path / "file").touch()
        assert os.umask(before) == before
    finally:
        os.umask(was)
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700 & ~before
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600 & ~before

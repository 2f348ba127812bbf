"""Guards at the program's borders: what comes from others, and what is for its owner alone. Standard library only.

Text of others (a model's words, names of files and sources, sessions, marks, sheets) before it is shown or stands in a
table; pictures and models by their first bytes, before native code gets them; files that only their owner may read.
"""

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\U000e0000-\U000e007f]")  # fmt: skip
"""Control characters, of which terminals take orders; what turns the direction of writing, or is not seen; half letters."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_PICTURES = re.compile(
    rb"(?P<JPEG>\xff\xd8\xff)|(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<BMP>BM)|(?P<TIFF>II\*\x00|MM\x00\*)|(?P<WebP>RIFF....WEBP)",
    re.DOTALL,
)
KERAS = "a Keras file (.keras)"
_POINTER = "a pointer of Git LFS"
_RUN = "a run of `python -m train`"
_KERAS_ARCHIVE = {"metadata.json", "config.json"}
_MODELS = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"\x80\x02", "a PyTorch file, or another pickle"),
    (0, b"\x80\x03", "a PyTorch file, or another pickle"),
    (0, b"\x80\x04", "a PyTorch file, or another pickle"),
    (0, b"\x80\x05", "a PyTorch file, or another pickle"),
    (8, b"{", "a file of weights (safetensors)"),
    (4, b"ORTM", "a model in ONNX Runtime's own format"),
    (0, b"\x93NUMPY", "a NumPy file"),
    (0, b"version https://git-lfs", _POINTER),
)


def shown(text: str, lines: bool = False) -> str:
    """The text as it may be shown: what is harmful in it is a question mark, a line's end or a tab a space. With `lines`
    these two stay."""
    return _HARMFUL.sub(lambda found: _instead_of(found[0], lines), text)


def _instead_of(letter: str, lines: bool) -> str:
    if letter in "\t\n":
        return letter if lines else " "
    return " " if letter == "\r" else "?"


def table_cell(text: str) -> str:
    """A text cell of a CSV or TSV file: with a ' before it where a spreadsheet would take it for a formula. What reads as
    a number stays as it is."""
    if not text.lstrip(" \n").startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def picture_kind(data: bytes) -> str | None:
    """JPEG, PNG, BMP, TIFF or WebP, by the first bytes, whatever the file is called; None for everything else.

    OpenCV goes by the first bytes too, and knows kinds that nobody here needs, JPEG 2000 among them, whose decoders have
    had faults that write where they should not.
    """
    found = _PICTURES.match(data)
    return found.lastgroup if found else None


def other_model(path: Path) -> str | None:
    """What a file or folder that is given for an exported model is, and what to do: one line that begins with the path.
    None where it may be an ONNX model. OSError where it cannot be read."""
    what, advice = (
        kind_of_model(path),
        "make a model of the run that it came from with `python -m export RUN --out DIR`",
    )
    if what is None:
        return None
    if what == _RUN:
        advice = f"make a model of it with `python -m export {shown(str(path))} --out DIR`"
    elif what == _POINTER:
        advice = "fetch the file itself with `git lfs pull`"
    return f"{shown(str(path))} is not a model file: it is {what} and cannot be loaded as an ONNX model; {advice}"


def kind_of_model(path: Path) -> str | None:
    """By its first bytes; None for what may be ONNX or is nothing that is known here."""
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            return "a TensorFlow SavedModel"
        return _RUN if (path / "model.keras").exists() else "a folder"
    with path.open("rb") as file:
        head = file.read(256)
    if not head:
        return "an empty file"
    if head.startswith(b"PK"):
        return _what_archive(path)
    for place, mark, what in _MODELS:
        # The length of safetensors' header comes first, as a number of eight bytes.
        if head[place:].startswith(mark) and (place != 8 or head[5:8] == b"\x00\x00\x00"):
            return what
    if path.suffix.lower() == ".pb":
        return "a TensorFlow graph (.pb)"
    # ONNX begins with the field of its version, 0x08.
    return (
        "a file of text" if head.isascii() and head.translate(None, b"\t\n\r").decode("ascii").isprintable() else None
    )


def _what_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "an archive"
    if names >= _KERAS_ARCHIVE:
        return KERAS
    return "a PyTorch file" if any(name.endswith("data.pkl") for name in names) else "an archive"


@contextmanager
def private_files() -> Iterator[None]:
    """Files and folders that the block makes are for their owner alone (0600, 0700): they hold faces, or what is known of
    people. Never more than the mask that is set allows. For a program's `main`: the mask is that of the whole process."""
    before = os.umask(0o077)
    os.umask(before | 0o077)
    try:
        yield
    finally:
        os.umask(before)

"""The clip store: round trip, nothing half-written, and one clear line for everything that is broken."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.contract import CropGeometry
from train.clips.store import ClipRecord, ClipStore, ClipStoreWriter, StoreError, StoreManifest

GEOMETRY = CropGeometry(size_px=32, iod_px=11.0, eye_line_px=10.5)
MANIFEST = StoreManifest(
    class_names=("negative", "positive"), fps=30.0, crop=GEOMETRY, colour="grey", frames=5, lead_frames=2, seed=7
)


def record(number: int, label: str = "negative", **more: object) -> ClipRecord:
    return ClipRecord(
        id=f"clip-{number}", subject=f"s{number % 2}", label=label, dataset="test", window_start=2, **more
    )  # type: ignore[arg-type]


def clip(number: int, manifest: StoreManifest = MANIFEST) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, manifest.clip_shape, np.uint8)


def write(path: Path, count: int = 3, manifest: StoreManifest = MANIFEST, overwrite: bool = False) -> None:
    with ClipStoreWriter(path, manifest, overwrite) as store:
        for number in range(count):
            store.add(record(number, MANIFEST.class_names[number % 2]), clip(number, manifest))


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_what_was_written_is_read(tmp_path: Path, colour: str) -> None:
    manifest = dataclasses.replace(
        MANIFEST, colour=colour, settings={"peak": [0.6, 3.0]}, left_out={"x.jpg": "no face"}
    )
    full = record(
        3, "positive", action_units=("4", "L12"), onset_frame=1, apex_frame=3, peak_px=1.25, seed=9, notes={"a": [1]}
    )
    with ClipStoreWriter(tmp_path / "store", manifest) as store:
        for number in range(3):
            store.add(record(number), clip(number, manifest))
        store.add(full, clip(3, manifest))
    read = ClipStore.open(tmp_path / "store")
    assert len(read) == 4 and read.records[3] == full
    assert read.clips.shape == (4, *manifest.clip_shape) and isinstance(read.clips, np.memmap)
    for number in range(4):
        np.testing.assert_array_equal(read.clips[number], clip(number, manifest))
    assert read.labels.tolist() == [0, 0, 0, 1]
    assert read.subjects == ("s0", "s1", "s0", "s1")
    assert read.manifest == dataclasses.replace(
        manifest, class_counts={"negative": 3, "positive": 1}, subject_counts={"s0": 2, "s1": 2}
    )
    # A real .npy: NumPy alone reads it.
    assert np.load(tmp_path / "store" / "clips.npy").shape == (4, *manifest.clip_shape)


def test_an_opened_store_is_read_only(tmp_path: Path) -> None:
    write(tmp_path / "store")
    with pytest.raises(ValueError, match="read-only"):
        ClipStore.open(tmp_path / "store").clips[0, 0] = 0


def test_an_empty_store_is_a_store(tmp_path: Path) -> None:
    write(tmp_path / "store", count=0)
    assert len(ClipStore.open(tmp_path / "store")) == 0


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ClipStoreWriter(tmp_path / "store", MANIFEST) as store:
        store.add(record(0), clip(0))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_replaced_only_when_asked_and_complete(tmp_path: Path) -> None:
    path = tmp_path / "store"
    write(path, count=2)
    with pytest.raises(StoreError, match=r"already there.*--overwrite"):
        ClipStoreWriter(path, MANIFEST)
    with pytest.raises(RuntimeError), ClipStoreWriter(path, MANIFEST, overwrite=True) as store:
        store.add(record(0), clip(0))
        raise RuntimeError
    assert len(ClipStore.open(path)) == 2
    write(path, count=3, overwrite=True)
    assert len(ClipStore.open(path)) == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"precious")
    with pytest.raises(StoreError, match="something else"):
        ClipStoreWriter(tmp_path / "photos", MANIFEST, overwrite=True)
    assert (tmp_path / "photos" / "me.jpg").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("clip_record", "pixels", "message"),
    [
        (record(0, "surprise"), clip(0), "label: expected one of negative, positive, found surprise"),
        (record(0), clip(0)[:4], r"expected uint8 \(5, 32, 32, 1\), found uint8 \(4, 32, 32, 1\)"),
        (record(0), clip(0).astype(np.float32), "found float32"),
        (record(0, apex_frame=5), clip(0), r"frames: expected less than 5, found \[5, 2\]"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(
    tmp_path: Path, clip_record: ClipRecord, pixels: np.ndarray, message: str
) -> None:
    with pytest.raises(StoreError, match=message), ClipStoreWriter(tmp_path / "store", MANIFEST) as store:
        store.add(clip_record, pixels)


def test_an_id_is_used_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="clip clip-0: id"), ClipStoreWriter(tmp_path / "store", MANIFEST) as store:
        store.add(record(0), clip(0))
        store.add(record(0), clip(0))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"onset_frame": 3, "apex_frame": 2}, "onset <= apex <= offset, found .3, 2."),
        ({"apex_frame": -1}, "apex_frame: expected 0 or more, found -1"),
        ({"peak_px": float("nan")}, "peak_px: expected a finite number, found nan"),
        ({"action_units": ["4"]}, "action_units: expected a tuple"),
    ],
)
def test_records_are_checked(more: dict[str, object], message: str) -> None:
    with pytest.raises(StoreError, match=message):
        record(0, **more)


def _edit_json(path: Path, change: Callable[[dict], object]) -> None:
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda p: (p / "manifest.json").unlink(), "manifest.json: missing"),
    "no clips": (lambda p: (p / "clips.npy").unlink(), "clips.npy: missing"),
    "no records": (lambda p: (p / "clips.jsonl").unlink(), "clips.jsonl: missing"),
    "clips cut short": (lambda p: (p / "clips.npy").write_bytes((p / "clips.npy").read_bytes()[:-1]), "not a complete NumPy file"),
    "clips are text": (lambda p: (p / "clips.npy").write_text("hello"), "not a complete NumPy file"),
    "clips of another shape": (lambda p: np.save(p / "clips.npy", np.zeros((3, 4, 32, 32, 1), np.uint8)), r"found uint8 \(3, 4"),
    "clips of another type": (lambda p: np.save(p / "clips.npy", np.zeros((3, 5, 32, 32, 1), np.float32)), "found float32"),
    "a record is missing": (lambda p: _cut_line(p / "clips.jsonl"), r"expected uint8 \(2, .*found uint8 \(3,"),
    "a record is cut": (lambda p: (p / "clips.jsonl").write_text((p / "clips.jsonl").read_text()[:-9]), "last line is not complete"),
    "a record is no JSON": (lambda p: (p / "clips.jsonl").write_text("{}\n{\n"), "line 1"),
    "a record twice": (lambda p: _repeat_line(p / "clips.jsonl"), "ids: expected different ones"),
    "manifest too deep": (lambda p: (p / "manifest.json").write_text("[" * 10_000), "manifest: expected JSON, found something else .recursion limit"),
    "manifest is a list": (lambda p: (p / "manifest.json").write_text("[]"), "manifest: expected an object, found \\[\\]"),
    "newer schema": (lambda p: _edit_json(p / "manifest.json", lambda m: m.update(schema_version=99)), "schema_version: expected 1, found 99"),
    "a field too many": (lambda p: _edit_json(p / "manifest.json", lambda m: m.update(colr=1)), "manifest fields"),
    "a class gone": (lambda p: _edit_json(p / "manifest.json", lambda m: m.update(class_names=["positive"])), "label: expected one of"),
    "classes of classes": (lambda p: _edit_json(p / "manifest.json", lambda m: m.update(class_names=[["a"]])), "class_names"),
    "crop too small": (lambda p: _edit_json(p / "manifest.json", lambda m: m["crop"].update(size_px=3)), "crop.size_px"),
}  # fmt: skip


def _cut_line(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def _repeat_line(path: Path) -> None:
    first, second, _ = path.read_text().splitlines(keepends=True)
    path.write_text(first + second + second)


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_store_says_what_is_wrong_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "store"
    write(path)
    break_it, message = BREAKAGES[name]
    break_it(path)
    with pytest.raises(StoreError, match=message) as caught:
        ClipStore.open(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(
            StoreError, match=r"make one with `python -m train prepare --out .*` or `python -m train synth"
        ):
            ClipStore.open(path)


frames = st.none() | st.integers(0, 200)


@given(
    names=st.tuples(*[st.text(min_size=1)] * 4),
    units=st.lists(st.text(max_size=4)).map(tuple),
    moments=st.lists(frames, min_size=3, max_size=3),
    peak_px=st.none() | st.floats(0, 1e6),
    notes=st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())),
)
def test_records_survive_json(
    names: tuple[str, str, str, str],
    units: tuple[str, ...],
    moments: list[int | None],
    peak_px: float | None,
    notes: dict[str, object],
) -> None:
    known = iter(sorted(frame for frame in moments if frame is not None))
    onset, apex, offset = (None if frame is None else next(known) for frame in moments)
    made = ClipRecord(*names, units, onset, apex, offset, peak_px, notes=notes)
    line = made.to_json()
    assert "\n" not in line
    assert ClipRecord.from_json(line) == made

"""Clips → network input, once: each clip goes through `model.preprocess`, in several processes, into a memory map.

The file's name is a hash of all that matters (preprocessing settings and code, the store's manifest and records), so
changed data or code never meets old features.
"""

import hashlib
import json
import math
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import model.preprocess
from model.atomic import whole_file
from model.contract import ClipContract
from model.preprocess import Features, preprocess_clip
from train.clips.store import ClipStore
from train.errors import NO_SPACE, TrainError
from train.progress import Advance
from train.worker_pool import WorkerPool

_VERSION = 1  # of what this module itself does to a clip
_ROWS_A_TASK = 16
_MAX_WORKERS = 8


def clip_features(store: ClipStore, row: int, contract: ClipContract) -> Features:
    """Network input of one clip, (frames, size, size, channels): uint8 for pixels, float32 else; before scaling."""
    last = math.ceil((contract.frames - 1) * store.manifest.fps / contract.fps - 1e-6)
    end = store.records[row].window_start + last + 1
    crops = np.asarray(store.clips[row, :end])
    if crops.shape[-1] == 1:
        crops = crops[..., 0]
    elif contract.input.colour == "grey":
        crops = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
    return preprocess_clip(crops, contract, store.manifest.fps)


def cached_features(
    store: ClipStore,
    contract: ClipContract,
    folders: tuple[Path, ...],
    workers: int = 0,
    advance: Advance | None = None,
) -> NDArray:
    """Features of all clips, (clips, frames, size, size, channels), memory-mapped read-only: uint8 or float16.

    Taken from the first folder that has them; else computed, in `workers` processes (0: one a core, at most 8; 1: in
    this one), and kept in the first folder that can be written.

    Raises:
        TrainError: no folder can be written, the disk is full, or a worker died.
    """
    name = f"features-{features_key(store, contract)}.npy"
    for folder in folders:
        if (folder / name).is_file():
            if advance:
                advance(len(store.records))
            return np.load(folder / name, mmap_mode="r")
    folder = _writable(folders)
    with whole_file(folder / name) as path:
        shape = (len(store.records), *contract.input_shape)
        dtype = np.uint8 if contract.input.kind == "pixels" else np.float16
        np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
        _reserve(path)
        _compute(store, contract, path, workers or min(os.cpu_count() or 1, _MAX_WORKERS), advance or (lambda _: None))
    return np.load(folder / name, mmap_mode="r")


def features_key(store: ClipStore, contract: ClipContract) -> str:
    """Hash of what decides the features: 16 hexadecimal digits."""
    recipe = asdict(contract.input) | {"offset": None, "scale": None}
    parts = {
        "version": _VERSION,
        "input": recipe,
        "reference": asdict(contract.reference),
        "crop": asdict(contract.crop),
        "frames": contract.frames,
        "fps": contract.fps,
        "opencv": cv2.__version__,
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for source in (Path(model.preprocess.__file__), store.path / "manifest.json", store.path / "clips.jsonl"):
        digest.update(source.read_bytes())
    clips = (store.path / "clips.npy").stat()
    digest.update(f"{clips.st_size} {clips.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _compute(store: ClipStore, contract: ClipContract, path: Path, workers: int, advance: Advance) -> None:
    rows = np.arange(len(store.records))
    tasks = [rows[i : i + _ROWS_A_TASK] for i in range(0, len(rows), _ROWS_A_TASK)]
    with WorkerPool(min(workers, len(tasks)), partial(ClipStore.open, store.path)) as pool:
        for task, _ in pool.as_done(partial(_fill, contract, path), tasks):
            advance(len(task))


def _fill(contract: ClipContract, path: Path, store: ClipStore, rows: NDArray) -> None:
    out = np.load(path, mmap_mode="r+")
    for row in rows:
        try:
            out[row] = clip_features(store, int(row), contract)
        except ValueError as error:
            raise TrainError(f"{store.path}: clip {store.records[row].id}: {error}") from error
    out.flush()


def _writable(folders: tuple[Path, ...]) -> Path:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise TrainError(f"no place for features: cannot write to {' or '.join(map(str, folders))}; give --cache-dir")


def _reserve(path: Path) -> None:
    """Takes the whole file's place on the disk: a map of a sparse file that finds it full kills the process."""
    if not hasattr(os, "posix_fallocate"):
        return
    size = path.stat().st_size
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in NO_SPACE:  # some file systems cannot reserve
                return
            raise TrainError(
                f"{path.parent}: no room for the prepared clips, {size / 1e6:.0f} MB; make room, or give another place "
                "with --cache-dir"
            ) from error

"""Pictures of optical flow from onset to apex, as others publish them: read, and brought to numbers for a classifier.

In the form that STSTNet (Liong, Gan, See, Khor, Huang, FG 2019) made usual: 28×28 pixels of u (to the right), v (down) and
optical strain, each stretched to 0–255 by itself.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.atomic import regular_file
from train.errors import UsageError

SIDE_PX = 28
CLASSES = ("negative", "positive", "surprise")
"""What a file's `label` numbers stand for."""

PICTURE_EYES: Mapping[str, tuple[float, float]] = {"casme2": (0.55, 0.28), "smic": (0.53, 0.27), "samm": (0.44, 0.28)}
"""Where the eyes lie in the published pictures of these datasets: their distance, and their height from the top, as shares
of the side."""
USUAL_EYES = (0.53, 0.28)

_MAX_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class FlowPictures:
    """`pictures` uint8 (n, 28, 28, 3), `labels` (n,) indices into CLASSES, `datasets` (n,) names ("" where none is told),
    `eyes` (n, 2): distance of the eyes and their height from the top, shares of the side."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    datasets: tuple[str, ...]
    eyes: NDArray[np.float64]


def read_flow_pictures(path: Path, eyes: tuple[float, float] | None = None) -> FlowPictures:
    """Reads an .npz file with `uvs` uint8 (n, 28, 28, 3), `label` (n,) and, where there is one, `dataset` (n,).

    Args:
        eyes: Distance and height of the eyes for all pictures; None: those of `PICTURE_EYES` by dataset, else usual ones.

    Raises:
        UsageError: there is no such file, or it holds something else; says what.
    """
    try:
        with zipfile.ZipFile(regular_file(path)) as packed:
            size = sum(member.file_size for member in packed.infolist())
        if size > _MAX_BYTES:
            raise UsageError(f"{path}: expected at most {_MAX_BYTES >> 20} MiB of arrays, found {size >> 20}")
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("uvs", "label", "dataset") if name in arrays}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: expected a NumPy .npz file with uvs and label, found something else") from error
    for name in ("uvs", "label"):
        if name not in found:
            raise UsageError(f"{path}: {name}: missing; expected uvs (n, 28, 28, 3) and label (n,)")
    pictures, labels = found["uvs"], found["label"]
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (SIDE_PX, SIDE_PX, 3) or not len(pictures):
        raise UsageError(
            f"{path}: uvs: expected uint8 (n, {SIDE_PX}, {SIDE_PX}, 3), found {pictures.dtype} {pictures.shape}"
        )
    if labels.shape != pictures.shape[:1] or labels.dtype.kind not in "iu":
        raise UsageError(f"{path}: label: expected {len(pictures)} integers, found {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        told = ", ".join(f"{number} {name}" for number, name in enumerate(CLASSES))
        raise UsageError(f"{path}: label: expected {told}, found {labels.min()} to {labels.max()}")
    datasets = _datasets(path, found.get("dataset"), len(pictures))
    placed = [eyes or PICTURE_EYES.get(name.lower(), USUAL_EYES) for name in datasets]
    return FlowPictures(pictures, labels.astype(np.int64), datasets, np.array(placed, np.float64))


def _datasets(path: Path, names: NDArray | None, count: int) -> tuple[str, ...]:
    if names is None:
        return ("",) * count
    if names.shape != (count,) or names.dtype.kind != "U":
        raise UsageError(f"{path}: dataset: expected {count} names, found {names.dtype} {names.shape}")
    return tuple(map(str, names))


def picture_of(flow: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A picture uint8 (h, w, 3) of a flow (h, w, 2): u, v and strain, each stretched to 0–255.

    The optical strain is that of Shreve et al. (FG 2011): the root of ux² + vy² + (uy + vx)²/2.
    """
    u, v = np.asarray(flow[..., 0], np.float64), np.asarray(flow[..., 1], np.float64)
    (uy, ux), (vy, vx) = np.gradient(u), np.gradient(v)
    strain = np.sqrt(ux**2 + vy**2 + 0.5 * (uy + vx) ** 2)
    stretched = [np.rint(255 * (part - part.min()) / max(float(np.ptp(part)), 1e-9)) for part in (u, v, strain)]
    return np.stack(stretched, axis=-1).astype(np.uint8)


def as_numbers(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures as a classifier sees them, float32 of the same shape, about −2 to 2: of u and v what most of the picture does
    is 0, since that is the head."""
    numbers = pictures.astype(np.float32) / 255
    numbers[..., :2] -= np.median(numbers[..., :2], axis=(1, 2), keepdims=True)
    return 4 * numbers


def mirrored(numbers: NDArray[np.float32], chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The chosen ones (n,) of `as_numbers` as they look in a mirror."""
    turned = numbers.copy()
    turned[chosen] = numbers[chosen, :, ::-1] * np.array([-1, 1, 1], np.float32)
    return turned


def by_dataset(datasets: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which rows (n,) are of which dataset; nothing where fewer than two are told apart."""
    names = sorted(set(datasets))
    told = np.array(datasets)
    return {name: told == name for name in names} if len(names) > 1 else {}

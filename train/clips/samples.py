"""The clips of one or more stores as samples: who is in them, what they show, and how they are split by people.

Splits are rows. scikit-learn's `LeaveOneGroupOut` gives the same folds (a test holds them equal), but not the people in
them, of whom some are held out to choose the epoch on, drawn by seed and name, or belong to another dataset.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model.contract import ClipContract
from train.clips.features import cached_features
from train.clips.store import ClipStore
from train.clips.unit_targets import Targets, unit_targets
from train.datasets.class_maps import USUAL_MAP
from train.datasets.labels import KNOWN_PARTS
from train.errors import UsageError
from train.fit_config import TrainConfig
from train.progress import Advance

_CHUNK = 16
_CLASS_MAP_FLAGS = {"classes": "--label-map", "contempt": "--contempt", "one_sided_12": "--one-sided-12"}
_SAME_PEOPLE = {"smic-e": "smic", "samm-long": "samm"}
"""Datasets whose people, by the same names, are those of another."""
Scheme = Literal["cde", "sde"]
"""Whom a fold trains on: cde, everybody else, whatever the dataset; sde, the others of the left-out person's dataset."""


class FeatureRows:
    """Features of several stores, one after the other, read from their memory maps when asked for."""

    def __init__(self, parts: Sequence[NDArray]) -> None:
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(len(part) for part in self._parts)])
        self.dtype = self._parts[0].dtype
        self.shape = (int(self._starts[-1]), *self._parts[0].shape[1:])

    @classmethod
    def open(cls, files: Sequence[Path | str]) -> "FeatureRows":
        """The features in these files, memory-mapped."""
        return cls([np.load(file, mmap_mode="r") for file in files])

    @property
    def files(self) -> tuple[str, ...]:
        """Where the parts lie, for another process to open. Parts that are no memory maps have no file: ValueError."""
        if not all(isinstance(part, np.memmap) and part.filename for part in self._parts):
            raise ValueError("features: expected memory-mapped files, found arrays")
        return tuple(str(Path(part.filename).resolve()) for part in self._parts)  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray:
        """The clips of these rows (n,), in their order: (n, frames, size, size, channels)."""
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for index in np.unique(owner):
            mine = owner == index
            out[mine] = self._parts[index][rows[mine] - self._starts[index]]
        return out


@dataclass(frozen=True, eq=False)
class Samples:
    """What is known of every clip, row by row. `people` are "dataset/subject", since datasets share subject names."""

    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    people: tuple[str, ...]
    labels: NDArray[np.int64]
    peaks_px: tuple[float | None, ...]
    sources: str
    """In words: datasets and generators."""
    crop_px: int
    """Side of the crops, which flow's pixels are of."""
    units: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """Which action units act, (clips, 2 units); see `train.clips.unit_targets`."""
    class_map: Mapping[str, str] = field(default_factory=dict)
    """By dataset, in words which emotion is which class, where that was a choice."""

    def counts(self, rows: NDArray[np.int64]) -> list[int]:
        """Clips of each class among these rows."""
        return np.bincount(self.labels[rows], minlength=len(self.class_names)).tolist()

    def people_of(self, rows: NDArray[np.int64]) -> list[str]:
        return sorted({self.people[row] for row in rows})


@dataclass(frozen=True, eq=False)
class Split:
    """Rows for training and validation; no person is in both."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


class ClipsAnew(Protocol):
    """Training clips of which no epoch has those of another: `train.synth.fresh_clips.FreshClips`."""

    people: tuple[str, ...]
    digest: str

    def __len__(self) -> int: ...
    @property
    def drawings(self) -> int: ...
    @property
    def labels(self) -> NDArray[np.int64]: ...
    def clip(self, epoch: int, index: int) -> NDArray: ...
    def example(self, epoch: int, index: int) -> tuple[NDArray, Targets]: ...


@dataclass(frozen=True, eq=False)
class FoldSplit:
    """One fold: rows (n,) for training, validation and test, of different people. `person` is the one tested."""

    person: str
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    validation_people: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """All that training needs of the data; `scaling` is (offset, scale) of the training clips.

    Training clips are the split's, or those drawn anew in every epoch where there are such `fresh` ones.
    """

    features: FeatureRows
    samples: Samples
    split: Split
    scaling: tuple[float, float]
    fresh: ClipsAnew | None = None

    @property
    def training_rows(self) -> NDArray[np.int64]:
        """The numbers of the clips of an epoch."""
        return self.split.train if self.fresh is None else np.arange(len(self.fresh))

    @property
    def training_counts(self) -> list[int]:
        """Training clips of each class in an epoch."""
        if self.fresh is None:
            return self.samples.counts(self.split.train)
        return np.bincount(self.fresh.labels, minlength=len(self.samples.class_names)).tolist()

    def training_clip(self, epoch: int, row: int) -> NDArray:
        """A training clip (frames, size, size, channels) of an epoch before augmentation."""
        return self.training_example(epoch, row)[0]

    def training_example(self, epoch: int, row: int) -> tuple[NDArray, Targets]:
        """A training clip as `training_clip` gives it, and which action units act in it (2 units,)."""
        if self.fresh is not None:
            return self.fresh.example(epoch, row)
        return self.features[np.array([row])][0], self.samples.units[row]

    @property
    def training_labels(self) -> NDArray[np.int64]:
        """Class indices by the numbers in `training_rows`."""
        return self.samples.labels if self.fresh is None else self.fresh.labels


def open_stores(paths: Sequence[str]) -> tuple[ClipStore, ...]:
    """The stores, checked to fit together. Raises StoreError or UsageError."""
    stores = tuple(ClipStore.open(path) for path in paths)
    _require_one_class_map(stores)
    first = stores[0]
    for store in stores:
        for name, value in _shared(store).items():
            if value != _shared(first)[name]:
                raise UsageError(
                    f"{store.path}: {name}: expected {_shared(first)[name]} as in {first.path}, found {value}"
                )
        late = [r.id for r in store.records if r.window_start + window_frames(store) > store.manifest.frames]
        if late:
            raise UsageError(
                f"{store.path}: clip {late[0]}: expected {window_frames(store)} frames from its window's start, found fewer"
            )
        if not len(store):
            raise UsageError(f"{store.path}: expected clips, found an empty store")
    return stores


def window_frames(store: ClipStore) -> int:
    """Frames of a clip that the network sees."""
    return store.manifest.frames - store.manifest.lead_frames


def run_contract(config: TrainConfig, stores: Sequence[ClipStore]) -> ClipContract:
    """What preprocessing needs to know, before scaling: the stores' clips and the config's input."""
    manifest = stores[0].manifest
    if config.colour == "rgb" and manifest.colour == "grey":
        raise UsageError(f"colour: rgb asked for, but {stores[0].path} holds grey clips; use --colour grey")
    frames, fps = time_grid(config, stores[0])
    return config.contract(manifest.class_names, frames, fps, manifest.crop)


def time_grid(config: TrainConfig, store: ClipStore) -> tuple[int, float]:
    """The network's frames, and how many there are a second: the store's, or those on the config's grid within the window."""
    frames, fps = window_frames(store), float(store.manifest.fps)
    if config.fps is None:
        return frames, fps
    # A little room for times that are no exact fractions.
    return int((frames - 1) * config.fps / fps + 1e-6) + 1, float(config.fps)


def samples_of(stores: Sequence[ClipStore]) -> Samples:
    """The records of all stores; ids get the store's folder name in front when there are several stores.

    Raises:
        UsageError: a clip is in two stores, or an id twice.
    """
    _require_once(stores)
    records = [(store, record) for store in stores for record in store.records]
    several = len({store.path.resolve().name for store in stores}) > 1
    ids = tuple(f"{store.path.resolve().name}/{record.id}" if several else record.id for store, record in records)
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise UsageError(
            f"sample ids: expected each once over all stores, found {twice!r} twice; give the folders different names"
        )
    return Samples(
        class_names=stores[0].manifest.class_names,
        ids=ids,
        people=tuple(f"{record.dataset}/{record.subject}" for _, record in records),
        labels=np.concatenate([store.labels for store in stores]),
        peaks_px=tuple(record.peak_px for _, record in records),
        sources=", ".join(sorted({record.dataset for _, record in records})),
        crop_px=stores[0].manifest.crop.size_px,
        units=np.stack([unit_targets(record.label, record.action_units) for _, record in records]),
        class_map={
            str(store.manifest.settings.get("source")): words
            for store in stores
            if isinstance(words := _told_class_map(store).get("in_words"), str)
        },
    )


def load_features(
    stores: Sequence[ClipStore], contract: ClipContract, config: TrainConfig, advance: Advance | None = None
) -> FeatureRows:
    """The network input of all clips, computed where it is not cached."""
    parts = []
    for store in stores:
        folders = (
            (Path(config.cache_dir),) if config.cache_dir else (store.path / "features", Path(config.out) / "features")
        )
        parts.append(cached_features(store, contract, folders, config.workers, advance))
    return FeatureRows(parts)


def resolve_people(names: Sequence[str], people: Sequence[str], flag: str) -> set[str]:
    """People ("dataset/subject") by name: "dataset/subject", or "subject" where only one dataset has it.

    Raises:
        UsageError: nobody, or more than one, is called so.
    """
    known = sorted(set(people))
    found: set[str] = set()
    for name in names:
        matches = [person for person in known if name in (person, person.split("/", 1)[1])]
        if not matches:
            shown = ", ".join(p.split("/", 1)[1] for p in known[:12]) + (", …" if len(known) > 12 else "")
            raise UsageError(f"{flag}: expected people of the data ({shown}), found {name!r}")
        if len(matches) > 1:
            raise UsageError(f"{flag}: {name!r} is in several datasets; write {' or '.join(matches)}")
        found.add(matches[0])
    return found


def split_by_people(samples: Samples, config: TrainConfig) -> Split:
    """Training and validation rows by the config's people, or by a share of the people drawn by its seed.

    Raises:
        UsageError: unknown people, nobody left to train on, or a class without training clips.
    """
    excluded = resolve_people(config.exclude_people, samples.people, "--exclude-people")
    left = sorted(set(samples.people) - excluded)
    if config.validation_people:
        held = resolve_people(config.validation_people, samples.people, "--validation-people") - excluded
    else:
        held = set(_drawn(left, config.validation_share, [config.seed]))
    people = np.array(samples.people)
    validation = np.flatnonzero(np.isin(people, sorted(held)))
    train = np.flatnonzero(~np.isin(people, sorted(held | excluded)))
    if not len(train):
        raise UsageError(
            f"people: expected some to train on, found {len(left)} with {len(held)} held out for validation"
        )
    for name, count in zip(samples.class_names, samples.counts(train), strict=True):
        if not count:
            raise UsageError(
                f"class {name!r}: expected training clips, found none among {len(train)}; hold out fewer people"
            )
    return Split(train, validation)


def leave_one_out(
    people: Sequence[str],
    scheme: Scheme = "cde",
    validation_share: float = 0.0,
    seed: int = 0,
    excluded: Iterable[str] = (),
) -> tuple[FoldSplit, ...]:
    """A fold for every person, in the order of their names.

    Args:
        people: "dataset/subject" of every row.
        validation_share: share of each fold's training people, one at least, that is held out from training to choose
            the epoch on; 0: nobody. Drawn anew in each fold, from `seed` and the left-out person's name alone.
        excluded: people whose rows are in no fold.

    Raises:
        UsageError: there are not enough people to train on.
    """
    rows = np.array(people)
    kept = sorted(set(people) - set(excluded))
    folds = []
    for person in kept:
        others = [
            other for other in kept if other != person and (scheme == "cde" or _dataset(other) == _dataset(person))
        ]
        held = _drawn(others, validation_share, [seed, zlib.crc32(person.encode())])
        trained = sorted(set(others) - set(held))
        if not trained:
            wanted = "2 people" if not validation_share else "3 people, with --select validation,"
            where = f"dataset {_dataset(person)!r} with --scheme sde" if scheme == "sde" else "the data"
            raise UsageError(f"{where}: expected {wanted} or more to leave one out, found {len(others) + 1}")
        split = [np.flatnonzero(np.isin(rows, names)) for names in (trained, list(held), [person])]
        folds.append(FoldSplit(person, *split, validation_people=held))
    if not folds:
        raise UsageError("people: expected some to leave out, found none")
    return tuple(folds)


def scaling(features: FeatureRows, rows: NDArray[np.int64]) -> tuple[float, float]:
    """`scaling_of` these rows."""
    return scaling_of(features[np.sort(rows[start : start + _CHUNK])] for start in range(0, len(rows), _CHUNK))


def scaling_of(parts: Iterable[NDArray]) -> tuple[float, float]:
    """(offset, scale) of the network's input from these clips alone; the network sees (x - offset) / scale.

    Pixels: their mean, and the largest value after it was taken off (the paper). Differences and flow: 0, since no
    motion must stay 0, and their standard deviation about 0.
    """
    total = squares = 0.0
    largest, count = -np.inf, 0
    of_bytes = False
    for values in parts:
        of_bytes = values.dtype == np.uint8
        total += float(values.sum(dtype=np.float64))
        squares += float(np.square(values, dtype=np.float64).sum()) if not of_bytes else 0.0
        largest, count = max(largest, float(values.max())), count + values.size
    mean = total / count
    offset, scale = (mean, largest - mean) if of_bytes else (0.0, (squares / count) ** 0.5)
    if not scale > 0:
        raise UsageError("data: expected clips with some contrast or motion, found the same value everywhere")
    return offset, scale


def _told_class_map(store: ClipStore) -> Mapping[str, Any]:
    """What a store of a dataset of emotions says of its classes; nothing where they are its owner's, or a generator's."""
    told = store.manifest.settings.get("class_map")
    return told if isinstance(told, dict) else {}


def _chosen_classes(store: ClipStore) -> str | None:
    """In words, the settings of a store's class map. Stores of before there was a choice have the usual one."""
    told, usual = _told_class_map(store), USUAL_MAP.to_dict()
    if not told and store.manifest.settings.get("source") not in KNOWN_PARTS:
        return None
    chosen = {name: told.get(name, value) for name, value in usual.items()}
    return ", ".join(f"{flag} {chosen[name]}" for name, flag in _CLASS_MAP_FLAGS.items())


def _require_one_class_map(stores: Sequence[ClipStore]) -> None:
    """Raises UsageError where a class of one store is not what it is in another."""
    first: tuple[ClipStore, str] | None = None
    for store in stores:
        chosen = _chosen_classes(store)
        first = first or (None if chosen is None else (store, chosen))
        if first is not None and chosen not in (None, first[1]):
            raise UsageError(
                f"{store.path}: class map: expected {first[1]} as in {first[0].path}, found {chosen}; prepare both alike"
            )


def _require_once(stores: Sequence[ClipStore]) -> None:
    """Raises UsageError for a dataset's clip that was prepared into two of the stores, which would count twice, and for two
    recordings of the same people under other names: who is left out of one would stay in the other."""
    recordings: dict[str, tuple[str, Path]] = {}
    for store in stores:
        for dataset in dict.fromkeys(record.dataset for record in store.records):
            name, path = recordings.setdefault(_SAME_PEOPLE.get(dataset, dataset), (dataset, store.path))
            if name != dataset:
                raise UsageError(
                    f"{store.path}: {dataset} shows the same people as {name} in {path}, so that nobody would be left out; "
                    "leave one of the stores out"
                )
    seen: dict[tuple[str, str, str], Path] = {}
    for store in stores:
        for record in store.records:
            source = record.notes.get("source")
            digest = source.get("sha256") if isinstance(source, dict) else None
            before = seen.setdefault((record.dataset, record.id, digest), store.path) if digest else store.path
            if before != store.path:
                raise UsageError(
                    f"{store.path}: clip {record.id} is in {before} already and would count twice; "
                    "leave one of the stores out"
                )


def _shared(store: ClipStore) -> dict[str, object]:
    manifest = store.manifest
    return {
        "classes": ", ".join(manifest.class_names),
        "fps": float(manifest.fps),
        "window": f"{window_frames(store)} frames",
        "crop": manifest.crop,
        "colour": manifest.colour,
    }


def _dataset(person: str) -> str:
    return person.split("/", 1)[0]


def _drawn(people: Sequence[str], share: float, seed: list[int]) -> tuple[str, ...]:
    """A seeded draw of this share of the people, one at least; nobody when the share is 0."""
    wanted = max(1, round(share * len(people))) if share else 0
    order = np.random.default_rng(seed).permutation(len(people))
    return tuple(sorted(people[int(index)] for index in order[:wanted]))

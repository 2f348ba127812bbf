"""The project's own clip stores as a dataset, so that synthetic people go the way of real ones."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.clips.store import ClipRecord, ClipStore, StoreError
from train.datasets.source import DatasetError, Defect, Reading, SourceClip, StoredClip


def read(roots: Sequence[Path], classes: Sequence[str] = ()) -> Reading:
    """The clips of the stores `roots`; `classes` alone keep their label (left out: those of the first store).

    Raises:
        DatasetError: a folder is no clip store, a class is in none of them, or a clip is in two of them.
    """
    try:
        stores = [ClipStore.open(root) for root in roots]
    except StoreError as error:
        raise DatasetError(str(error)) from error
    wanted = tuple(classes) or stores[0].manifest.class_names
    known = {name for store in stores for name in store.manifest.class_names}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise DatasetError(f"classes: expected some of {', '.join(sorted(known))}, found {', '.join(unknown)}")
    clips = [_clip(store, row, record, wanted) for store in stores for row, record in enumerate(store.records)]
    twice = [name for name, count in Counter(clip.id for clip in clips).items() if count > 1]
    if twice:
        raise DatasetError(f"clip {twice[0]} is in two stores: were they made with the same seed?")
    defects = tuple(defect for store in stores for defect in _defects(store, wanted))
    return Reading("synthetic", wanted, tuple(sorted(clips, key=lambda clip: clip.id)), defects)


def _clip(store: ClipStore, row: int, record: ClipRecord, classes: Sequence[str]) -> SourceClip:
    clip = SourceClip(
        record.dataset,
        record.subject,
        record.id,
        record.label,
        record.label if record.label in classes else None,
        float(store.manifest.fps),
        StoredClip(store.path, row),
        record.action_units,
        cropped=True,
    )
    if record.onset_frame is None:
        # Nothing happens that would set an interval: what a network is to see of it is the store's window.
        return replace(clip, onset=record.window_start, offset=store.manifest.frames - 1)
    ends = store.manifest.frames - 1 if record.offset_frame is None else record.offset_frame
    return replace(clip, onset=record.onset_frame, apex=record.apex_frame, offset=ends)


def _defects(store: ClipStore, classes: Sequence[str]) -> list[Defect]:
    mine = [record for record in store.records if record.label in classes]
    cut = sum(record.onset_frame is not None and record.offset_frame is None for record in mine)
    still = sorted({record.label for record in mine if record.onset_frame is None})
    defects = []
    if cut:
        defects.append(
            Defect("warning", store.path, f"{cut} clips end before their offset: their last frame stands for it")
        )
    if still:
        reason = (
            f"clips of {', '.join(still)} have no onset: their whole window is taken, which is longer than an expression, "
            "so that the way noise changes in time tells the class; leave them out with --classes"
        )
        defects.append(Defect("warning", store.path, reason))
    return defects

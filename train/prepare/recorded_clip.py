"""One clip of a dataset → its window of aligned crops, onset to offset, and its record."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.contract import Colour, CropGeometry
from train.clips.store import ClipRecord
from train.datasets.source import FrameFolder, SourceClip
from train.fit_config import DEFAULT_TIME_CONSTANT_S
from train.prepare.crops import ClipInterval, CropReader, SourceCrops, find_interval, sample_window

MIN_FRAMES = 9
LONG_S = 2.0


@dataclass(frozen=True)
class PrepareSettings:
    """What all clips of a store share.

    `frames` of a window lie between onset and offset. `lead_frames` more before it repeat the onset's crop: at its first
    frame a causal reference is that crop. `fps` is the rate at which the window counts as seen, whatever time it took.
    """

    frames: int = 30
    lead_frames: int = round(DEFAULT_TIME_CONSTANT_S * 30)
    fps: float = 30.0
    geometry: CropGeometry = field(default_factory=CropGeometry)
    colour: Colour = "grey"

    def __post_init__(self) -> None:
        if self.frames < MIN_FRAMES:
            raise ValueError(f"frames: expected {MIN_FRAMES} or more, found {self.frames}")
        if self.lead_frames < 0:
            raise ValueError(f"lead frames: expected 0 or more, found {self.lead_frames}")
        if not 0 < self.fps < float("inf"):
            raise ValueError(f"fps: expected a number above 0, found {self.fps}")


@dataclass(frozen=True, eq=False)
class PreparedClip:
    """`window` uint8 (frames, size, size, channels) from onset to offset, its record, and what was odd about it."""

    record: ClipRecord
    window: NDArray[np.uint8]
    warnings: tuple[str, ...]


class ClipPreparer:
    """Prepares clips one after the other, each on its own. Needs `close()`."""

    def __init__(self, settings: PrepareSettings) -> None:
        self._settings = settings
        self._reader = CropReader(settings.geometry, settings.colour)

    def close(self) -> None:
        self._reader.close()

    def prepare(self, clip: SourceClip) -> PreparedClip:
        """Raises ClipError, saying why, when the clip cannot be used."""
        if isinstance(clip.pictures, FrameFolder):  # before any picture is read
            find_interval([number for number, _ in clip.pictures.files], clip.onset, clip.offset)
        found = self._reader.read(clip)
        interval = find_interval(found.numbers, clip.onset, clip.offset)
        window = sample_window(found.crops, found.numbers, interval, self._settings.frames)
        record, warnings = self._describe(clip, found, interval)
        return PreparedClip(record, window, warnings)

    def _describe(
        self, clip: SourceClip, found: SourceCrops, interval: ClipInterval
    ) -> tuple[ClipRecord, tuple[str, ...]]:
        onset, offset, lead = interval.onset, interval.offset, self._settings.lead_frames
        warnings = list(found.warnings)
        if interval.missing:
            warnings.append(
                f"{interval.missing} of {interval.expected} pictures are missing: filled from their neighbours"
            )
        apex = clip.apex
        if apex is not None and not onset <= apex <= offset:
            warnings.append(f"apex {apex} lies outside onset {onset} to offset {offset}: left out")
            apex = None
        duration_s = (offset - onset) / clip.fps
        if clip.offset is None and duration_s > LONG_S:
            warnings.append(
                f"taken whole, {duration_s:.1f} s: a micro-expression lasts about 0.5 s at most; give onset and offset"
            )
        last = self._settings.frames - 1
        record = ClipRecord(
            id=clip.id,
            subject=clip.subject,
            label=clip.label or clip.emotion,
            dataset=clip.dataset,
            action_units=clip.action_units,
            onset_frame=lead,
            apex_frame=None if apex is None else lead + round((apex - onset) / (offset - onset) * last),
            offset_frame=lead + last,
            peak_px=found.peak_px,
            window_start=lead,
            seed=found.seed,
            notes={
                "clip": clip.clip,
                "emotion": clip.emotion,
                "source": {
                    "onset": onset, "apex": apex, "offset": offset, "fps": clip.fps, "pictures": len(found.numbers),
                    "missing": interval.missing, "annotated": clip.offset is not None, "sha256": found.sha256,
                },
                "duration_ms": round(1000 * duration_s, 1),
                "alignment": dict(found.alignment),
            },
        )  # fmt: skip
        return record, tuple(warnings)

"""One clip of a dataset → its window of aligned crops, onset to offset, and its record."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.contract import Colour, CropGeometry
from train.clips.store import ClipRecord
from train.datasets.source import FrameFolder, SessionMoment, SourceClip
from train.fit_config import DEFAULT_TIME_CONSTANT_S
from train.prepare.crops import ClipError, ClipInterval, CropReader, SourceCrops, find_interval, sample_window

MIN_FRAMES = 9
LONG_S = 2.0
MOST_GAP_S = 0.25


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
    """`window` uint8 (frames, size, size, channels) from onset to offset, its record, and what was odd about it.

    Of a session the lead is before it, as it was recorded.
    """

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
        if isinstance(clip.pictures, SessionMoment):
            return self._as_live(clip, clip.pictures)
        if isinstance(clip.pictures, FrameFolder):  # before any picture is read
            find_interval([number for number, _ in clip.pictures.files], clip.onset, clip.offset)
        found = self._reader.read(clip)
        interval = find_interval(found.numbers, clip.onset, clip.offset)
        window = sample_window(found.crops, found.numbers, interval, self._settings.frames)
        record, warnings = self._describe(clip, found, interval)
        return PreparedClip(record, window, warnings)

    def _as_live(self, clip: SourceClip, moment: SessionMoment) -> PreparedClip:
        """Lead and window of a session in its own time: the apex is in the middle of the window, as a micro-expression passes
        through the live program's."""
        settings = self._settings
        count = settings.lead_frames + settings.frames
        steps = np.arange(count) - settings.lead_frames - settings.frames // 2
        times_s = moment.apex_s + steps / settings.fps
        found = self._reader.read_stretch(clip, moment, float(times_s[0]), float(times_s[-1]))
        there_s = np.array(found.times_s)
        begins_s, ends_s = float(times_s[settings.lead_frames]), float(times_s[-1])
        inside = np.concatenate([[begins_s], there_s[(there_s > begins_s) & (there_s < ends_s)], [ends_s]])
        if (
            there_s[0] > begins_s + MOST_GAP_S
            or there_s[-1] < ends_s - MOST_GAP_S
            or np.diff(inside).max() > MOST_GAP_S
        ):
            raise ClipError(f"pictures are missing between {begins_s:.2f} and {ends_s:.2f} s")
        warnings = list(found.warnings)
        if there_s[0] > times_s[0] + MOST_GAP_S:
            warnings.append(
                f"the recording begins {begins_s - there_s[0]:.1f} s before the window: its first picture is the lead"
            )
        crops = _at_times(found.crops, there_s, times_s)

        def frame(time_s: float | None) -> int | None:
            return None if time_s is None else int(np.clip(np.rint((time_s - times_s[0]) * settings.fps), 0, count - 1))

        record = ClipRecord(
            id=clip.id,
            subject=clip.subject,
            label=clip.label or clip.emotion,
            dataset=clip.dataset,
            action_units=clip.action_units,
            onset_frame=frame(moment.onset_s),
            apex_frame=None if moment.onset_s is None else frame(moment.apex_s),
            offset_frame=frame(moment.offset_s),
            window_start=settings.lead_frames,
            notes={
                "clip": clip.clip,
                "emotion": clip.emotion,
                "source": {
                    "onset_s": moment.onset_s, "apex_s": moment.apex_s, "offset_s": moment.offset_s, "fps": clip.fps,
                    "pictures": len(found.numbers), "sha256": found.sha256,
                },
                "alignment": dict(found.alignment),
            },
        )  # fmt: skip
        return PreparedClip(record, crops, tuple(warnings))

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


def _at_times(
    crops: NDArray[np.uint8], there_s: NDArray[np.float64], times_s: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Crops (n, …) of times that grow → crops at these times, linear between the nearest two, beyond the ends those."""
    positions = np.clip(times_s, there_s[0], there_s[-1])
    below = np.searchsorted(there_s, positions, side="right") - 1
    above = np.minimum(below + 1, len(there_s) - 1)
    gap_s = np.where(above > below, there_s[above] - there_s[below], 1.0)
    share = ((positions - there_s[below]) / gap_s).reshape((-1,) + (1,) * (crops.ndim - 1)).astype(np.float32)
    return np.rint(crops[below] * (1 - share) + crops[above] * share).astype(np.uint8)

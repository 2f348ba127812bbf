"""What every clip of a synthetic data set shares."""

from dataclasses import dataclass, field

from model.contract import Colour, CropGeometry


@dataclass(frozen=True)
class ClipSettings:
    """What every clip of a dataset shares.

    A clip is `lead_frames`, in which a causal neutral reference settles, and the window of `window_frames` that a
    network sees. The apex of an event lies `apex_from` frames or more into the window. Peaks are pixels of the crop.
    Clips have `fps`, or each one of `frame_rates`, all as often (name one twice to have it twice as often). Of the
    neutral ones `macro_share`, `past_share` and `drift_share` hold an expression that is no event of their window.
    In `hard_share` of all clips people talk, turn and move more, and cameras are worse, see `confounders`.
    """

    geometry: CropGeometry = field(default_factory=CropGeometry)
    colour: Colour = "grey"
    fps: float = 30.0
    frame_rates: tuple[float, ...] = ()
    window_frames: int = 30
    lead_frames: int = 20
    apex_from: int = 3
    peak_min_px: float = 0.6
    peak_max_px: float = 3.0
    landmark_jitter_px: float = 0.4
    macro_share: float = 0.16
    past_share: float = 0.12
    drift_share: float = 0.06
    hard_share: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.peak_min_px <= self.peak_max_px:
            raise ValueError(
                f"peak: expected 0 < smallest <= largest, found {self.peak_min_px} to {self.peak_max_px} px"
            )
        if not (self.lead_frames >= 15 and self.window_frames >= 9 and 0 <= self.apex_from < self.window_frames - 1):
            raise ValueError(
                "frames: expected a lead of 15 or more, a window of 9 or more and an apex inside it, "
                f"found {self.lead_frames}, {self.window_frames} and {self.apex_from}"
            )
        if min((self.fps, *self.frame_rates)) <= 0:
            raise ValueError(f"frame rates: expected more than 0, found {self.fps}, {self.frame_rates}")
        shares = (self.macro_share, self.past_share, self.drift_share)
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"shares of neutral clips: expected 0 to 1 in all, found {shares}")
        if not 0 <= self.hard_share <= 1:
            raise ValueError(f"share of hard clips: expected 0 to 1, found {self.hard_share}")

    @property
    def frames(self) -> int:
        return self.lead_frames + self.window_frames

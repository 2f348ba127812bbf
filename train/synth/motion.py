"""From pulses and oscillations of named channels to the pose of a frame.

Channels are the fields' names (`fields.channel`, gaze, yaw, pitch) and those below, which are no fields.
"""

from collections.abc import Iterable, Mapping

from train.synth.render import Head, Pose
from train.synth.timeline import Envelope, Oscillation, Pulse

# Closure 0..1 of the eye in the image's left and right half (before mirroring).
BLINK_LEFT, BLINK_RIGHT = "blink_left", "blink_right"
# IOD, IOD, degrees, share.
HEAD_X, HEAD_Y, HEAD_ROLL, HEAD_GROWTH = "head_x", "head_y", "head_roll", "head_growth"
# Shares of the light there is.
LIGHT, LIGHT_SLOPE = "light", "light_slope"

_HEAD = (HEAD_X, HEAD_Y, HEAD_ROLL, HEAD_GROWTH)
_NO_FIELDS = frozenset((BLINK_LEFT, BLINK_RIGHT, LIGHT, LIGHT_SLOPE, *_HEAD))

Motion = Pulse | Oscillation


def expression_pulses(gains: Mapping[str, float], envelope: Envelope) -> tuple[Pulse, ...]:
    """Fields that rise and fall together; `gains` are theirs at the apex."""
    return tuple(Pulse(name, gain, envelope) for name, gain in gains.items())


def pose_at(motions: Iterable[Motion], time_s: float) -> Pose:
    """What a frame at a time shows: motions of the same channel add up."""
    values: dict[str, float] = {}
    for motion in motions:
        values[motion.channel] = values.get(motion.channel, 0.0) + motion.at(time_s)

    def shut(name: str) -> float:
        return min(max(values.get(name, 0.0), 0.0), 1.0)

    return Pose(
        gains={name: value for name, value in values.items() if name not in _NO_FIELDS and value},
        head=Head(*(values.get(name, 0.0) for name in _HEAD)),
        blink=(shut(BLINK_LEFT), shut(BLINK_RIGHT)),
        light=1.0 + values.get(LIGHT, 0.0),
        light_slope=values.get(LIGHT_SLOPE, 0.0),
    )

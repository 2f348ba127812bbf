"""Which frames' values make up a window: the index arithmetic of streaming, from depth, kernels and pooling.

A window has `depth` frames, numbered 0 to depth-1; the newest is depth-1. A kernel of size k reaches r = (k-1)/2 slices
to both sides, so of a window's slices after the first convolutions the first r lack taps on the left, the last r lack
taps on the right, and the others are interior: the same in every window that holds them. Max pooling joins slices to
groups, the trunk's convolution gives one slice a group, and the second pooling joins those to the steps of the GRU.

A value is *ready* at the first frame by which all it depends on has arrived. When the newest frame is f, a value that
became ready at frame g is f-g frames old: its *age*.
"""

from dataclasses import dataclass
from enum import Enum

from model.config import BRANCH_KERNELS, POOL, TRUNK_KERNEL, pooled
from model.errors import MicroliveError

REACH = max(BRANCH_KERNELS) // 2
TRUNK_REACH = TRUNK_KERNEL // 2


class StreamingUnsupported(MicroliveError, ValueError):
    """The network cannot be run frame by frame with exactly the window's answer; says why."""


class Edge(Enum):
    """Which end of the window a value depends on."""

    LEFT = "left"
    INNER = "inner"
    RIGHT = "right"


@dataclass(frozen=True)
class SliceRef:
    """A slice of a first convolution as part of a group: at which edge, its distance from that edge, its age.

    The distance is 0 for the outermost slice, and always 0 for interior slices.
    """

    edge: Edge
    distance: int
    age: int


@dataclass(frozen=True)
class Pooling:
    """Max pooling over `length` slices in time, window and stride 3, padding "same"."""

    length: int

    @property
    def groups(self) -> int:
        return pooled(self.length)

    @property
    def before(self) -> int:
        """Padding before the first slice; what remains of it comes after the last."""
        return (POOL * self.groups - self.length) // 2

    def members(self, group: int) -> range:
        """The slices of one group."""
        start = POOL * group - self.before
        return range(max(start, 0), min(start + POOL, self.length))

    def edges(self, reach: int) -> list[set[Edge]]:
        """For each group, the edges that lie within `reach` slices of a member."""
        return [{edge for j in self.members(g) for edge in self._slice_edges(j, reach)} for g in range(self.groups)]

    def _slice_edges(self, index: int, reach: int) -> set[Edge]:
        edges = {Edge.LEFT} if index < reach else set()
        return edges | ({Edge.RIGHT} if index >= self.length - reach else set())


@dataclass(frozen=True)
class StreamPlan:
    """The ages of all that a window of `depth` frames is made of, when its last frame has just arrived.

    Raises:
        StreamingUnsupported: a value depends on both ends of the window, so it cannot be kept from frame to frame.
    """

    depth: int

    def __post_init__(self) -> None:
        # A trunk slice depends on an edge when a group it reaches does, and only the outermost groups may.
        for pooling, reach, what in (
            (self.first, REACH, "groups after the first pooling"),
            (self.second, TRUNK_REACH + 1, "steps after the second pooling"),
        ):
            edges = pooling.edges(reach)
            inner = [set() for _ in edges[1:-1]]
            if edges != [{Edge.LEFT}, *inner, {Edge.RIGHT}]:
                raise StreamingUnsupported(
                    f"streaming {self.depth} frames: expected {what} that depend on one end of the window at most, "
                    f"found {len(edges)} for {pooling.length} slices; take more frames, or the window model"
                )

    @property
    def first(self) -> Pooling:
        return Pooling(self.depth)

    @property
    def second(self) -> Pooling:
        return Pooling(self.first.groups)

    def group_ready(self, group: int) -> int:
        """The frame at which a group (not the last) is ready in the branch that reaches furthest."""
        return POOL * group - self.first.before + POOL - 1 + REACH

    def left_group(self, reach: int) -> list[SliceRef]:
        """The first group's slices in a branch of that reach, when the group is ready."""
        return [
            SliceRef(Edge.LEFT, index, age) if index < reach else SliceRef(Edge.INNER, 0, age)
            for index in self.first.members(0)
            for age in [self.group_ready(0) - index - reach]
        ]

    def inner_group(self, reach: int) -> list[SliceRef]:
        """The slices of any inner group in a branch of that reach, when the group is ready."""
        return [SliceRef(Edge.INNER, 0, REACH - reach + back) for back in reversed(range(POOL))]

    def right_group(self, reach: int) -> list[SliceRef]:
        """The last group's slices in a branch of that reach, at the window's last frame."""
        last = self.depth - 1
        return [
            SliceRef(Edge.RIGHT, last - index, 0)
            if index > last - reach
            else SliceRef(Edge.INNER, 0, last - index - reach)
            for index in self.first.members(self.first.groups - 1)
        ]

    @property
    def last_inner_group_age(self) -> int:
        """Age of the last inner group at the window's last frame."""
        return self.depth - 1 - self.group_ready(self.first.groups - 2)

    @property
    def first_step_slices(self) -> int:
        """How many trunk slices the first step joins: the two at the left edge, and one interior slice or none."""
        return len(self.second.members(0))

    @property
    def last_step_slices(self) -> int:
        """How many trunk slices the last step joins: one interior slice or none, and the two at the right edge."""
        return len(self.second.members(self.second.groups - 1))

    @property
    def steps(self) -> int:
        """Steps of the GRU."""
        return self.second.groups

    def step_age(self, step: int) -> int:
        """Age of a step (not the last) at the window's last frame: it is ready with the group after its last slice."""
        return self.depth - 1 - self.group_ready(self.second.members(step)[-1] + 1)

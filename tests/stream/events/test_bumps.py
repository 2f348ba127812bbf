"""Bumps: what comes back, against plain loops and against steps and drifts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events.bumps import BumpMeter


def plain(motion: np.ndarray, half_width: int, shoulder: int, step_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and sizes at the middle frame, region by region."""
    centre = len(motion) // 2
    vectors, sizes = [], []
    for region in range(motion.shape[1]):
        before = sum(motion[centre - half_width - i, region] for i in range(shoulder)) / shoulder
        after = sum(motion[centre + half_width + i, region] for i in range(shoulder)) / shoulder
        vector = motion[centre, region] - (before + after) / 2
        vectors.append(vector)
        sizes.append(max(np.linalg.norm(vector) - step_share * np.linalg.norm(after - before), 0.0))
    return np.array(vectors), np.array(sizes)


@settings(deadline=None)
@given(
    widths=st.lists(st.integers(1, 12), min_size=1, max_size=5, unique=True).map(sorted),
    shoulder=st.integers(1, 8),
    step_share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_plain_loops(widths, shoulder, step_share, seed):
    meter = BumpMeter(widths, shoulder, step_share)
    motion = np.random.default_rng(seed).normal(0, 2, (2 * meter.reach + 1, 6, 2))
    bumps = meter.measure(motion.astype(np.float32))
    assert bumps.half_widths == tuple(widths)
    assert bumps.vectors_px.shape == (len(widths), 6, 2)
    for place, half_width in enumerate(widths):
        vectors, sizes = plain(motion, half_width, shoulder, step_share)
        np.testing.assert_allclose(bumps.vectors_px[place], vectors, atol=1e-4)
        np.testing.assert_allclose(bumps.sizes_px[place], sizes, atol=1e-4)


def measured(path: np.ndarray, step_share: float = 0.6) -> np.ndarray:
    """Sizes at the half widths 2, 4 and 6 of one region that goes along `path` (19,)."""
    motion = np.zeros((19, 1, 2), np.float32)
    motion[:, 0, 0] = path
    return BumpMeter((2, 4, 6), 4, step_share).measure(motion).sizes_px[:, 0]


def test_what_comes_back_has_its_full_size():
    path = np.zeros(19)
    path[8:11] = (0.5, 1.0, 0.5)
    assert measured(path) == pytest.approx([1.0, 1.0, 1.0])


def test_a_step_is_no_bump_wherever_it_is():
    for place in range(19):
        assert measured(np.arange(19) >= place).max() == 0


def test_a_step_would_be_one_if_nothing_were_taken_off():
    assert measured(np.arange(19) >= 9, step_share=0.0) == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize("slope_px", [0.01, 1.0, -30.0])
def test_a_drift_is_no_bump(slope_px):
    assert measured(slope_px * np.arange(19)).max() == 0


def test_the_largest_is_found_in_units_of_each_regions_floor():
    meter = BumpMeter((2, 4), 2, 0.6)
    motion = np.zeros((2 * meter.reach + 1, 4, 2), np.float32)
    motion[meter.reach, 1] = (0.0, 3.0)
    # As long as five frames: the narrow bump sees its shoulders.
    motion[meter.reach - 2 : meter.reach + 3, 2] = (2.0, 0.0)
    motion[meter.reach, 3] = (50.0, 0.0)
    bumps = meter.measure(motion)
    all_but_the_last = np.array([0, 1, 2])
    assert bumps.largest(np.array([1, 1, 1, 1], np.float32), all_but_the_last) == (pytest.approx(3.0), 0)
    assert bumps.largest(np.array([1, 2, 0.5, 1], np.float32), all_but_the_last) == (pytest.approx(4.0), 1)
    assert bumps.largest(np.array([1, 2, 0.5, 5], np.float32), np.array([3])) == (pytest.approx(10.0), 0)


def test_refuses_what_cannot_be():
    for widths, shoulder in (((), 4), ((0, 2), 4), ((2, 4), 0)):
        with pytest.raises(ValueError, match="bumps: expected frames of 1 or more"):
            BumpMeter(widths, shoulder, 0.6)
    with pytest.raises(ValueError, match="motion: expected 11 frames, found 10"):
        BumpMeter((2, 4), 2, 0.6).measure(np.zeros((10, 3, 2), np.float32))

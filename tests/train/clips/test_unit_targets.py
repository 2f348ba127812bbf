"""Targets of the second output: FACS codes as values of each unit's left and right side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.clips.augmentation import mirrored_units
from train.clips.unit_targets import UNITS, mirrored_targets, unit_targets
from train.synth.action_units import ACTION_UNITS

NAN = float("nan")


def told(label: str, *codes: str) -> dict[str, float]:
    """What is not 0."""
    values = zip(UNITS.names, unit_targets(label, codes).tolist(), strict=True)
    return {name: value for name, value in values if value != 0}


def test_the_units_are_the_generators():
    assert UNITS.numbers == tuple(sorted(ACTION_UNITS)) and len(UNITS.names) == 32
    assert UNITS.names[:4] == ("L1", "R1", "L2", "R2")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (("4",), {"L4": 1, "R4": 1}),
        (("L12",), {"L12": 1}),
        (("R12B",), {"R12": 1}),
        (("4A/B", "R10"), {"L4": 1, "R4": 1, "R10": 1}),
        (("A1C",), {"L1": 1, "R1": 1}),
        (("T25",), {"L25": 1, "R25": 1}),
        (("L12|R12",), {"L12": NAN, "R12": NAN}),
        (("R6|R12", "R15"), {"R6": NAN, "R12": NAN, "R15": 1}),
        (("12|L12",), {"L12": 1, "R12": NAN}),
        (("U14",), {"L14": NAN, "R14": NAN}),
        (("L12|R12", "L12"), {"L12": 1, "R12": NAN}),
        (("L12", "L12|R12"), {"L12": 1, "R12": NAN}),
        (("43C",), {}),
        (("4|43",), {"L4": NAN, "R4": NAN}),
    ],
)
def test_codes(codes, expected):
    np.testing.assert_equal(told("negative", *codes), expected)


def test_nothing_is_known_of_an_event_without_codes_and_nothing_acts_without_an_event():
    assert np.isnan(unit_targets("negative", ())).all()
    assert (unit_targets("neutral", ()) == 0).all()


@given(st.lists(st.builds(str.__add__, st.sampled_from(["", "L", "R"]), st.sampled_from(["1", "4", "12", "14"]))))
def test_the_mirrored_targets_are_those_of_the_mirrored_codes(codes):
    targets = unit_targets("neutral", codes)
    np.testing.assert_array_equal(mirrored_targets(targets), unit_targets("neutral", mirrored_units(codes)))
    np.testing.assert_array_equal(mirrored_targets(mirrored_targets(targets)), targets)

"""Action units as annotators write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.clips.augmentation import mirrored_units
from train.datasets.au_codes import parse_units

SINGLE = st.builds(
    lambda side, number, intensity: f"{side}{number}{intensity}",
    st.sampled_from(["", "L", "R", "U", "A", "T", "B"]),
    st.integers(1, 99),
    st.sampled_from(["", "A", "B", "C", "D", "E", "A/B", "D/E"]),
)
TERM = st.lists(SINGLE, min_size=1, max_size=3, unique=True)


@pytest.mark.parametrize(
    ("text", "units", "left_out"),
    [
        ("4", ("4",), ()),
        ("4+L10", ("4", "L10"), ()),
        ("?", (), ("?",)),
        ("", (), ()),
        ("12+15 ", ("12", "15"), ()),
        ("(R6 or R12)+R15", ("R6|R12", "R15"), ()),
        ("L12 or L14", ("L12|L14",), ()),
        ("4A/B", ("4A/B",), ()),
        ("ref(7B)+43C", ("7B", "43C"), ("ref",)),
        ("ref(4 + 7B)", ("4", "7B"), ("ref",)),
        ("A1B+A2C", ("A1B", "A2C"), ()),
        ("R14+17+soft focus", ("R14", "17"), ("soft focus",)),
        ("(6+12)+U14", ("6", "12", "U14"), ()),
        ("AU4 + au l12b, 04", ("4", "L12B"), ()),
        ("4 or (6+7)", (), ("4 or (6+7)",)),
        ("4+(6", ("4",), ("(6",)),
        ("6)+4", ("4",), ("6)",)),
        ("4+4+4F", ("4",), ("4F",)),
        ("123", (), ("123",)),
        ("(" * 5000 + "4", (), ("(" * 5000 + "4",)),
    ],
)
def test_forms_in_use(text: str, units: tuple[str, ...], left_out: tuple[str, ...]) -> None:
    found = parse_units(text)
    assert (found.units, found.left_out) == (units, left_out)


@given(st.lists(TERM, max_size=5), st.sampled_from(["+", " + ", ",", "; ", " & "]), st.booleans())
def test_every_list_of_units_comes_back_as_written(terms: list[list[str]], joint: str, brackets: bool) -> None:
    written = [f"({' or '.join(term)})" if brackets else " OR ".join(term) for term in terms]
    found = parse_units(joint.join(written))
    assert found.units == tuple(dict.fromkeys("|".join(term) for term in terms))
    assert found.left_out == ()
    assert parse_units("+".join(found.units)) == found


@given(st.text(st.sampled_from("0123456789LRUATBE+()/|?, or;refx"), max_size=40) | st.text(max_size=40))
def test_any_text_is_parsed_or_left_out(text: str) -> None:
    found = parse_units(text)
    assert parse_units("+".join(found.units)).units == found.units
    assert len(set(found.units)) == len(found.units)
    if any(letter.isalnum() for letter in text):
        assert found.units or found.left_out


@given(st.lists(TERM.map("|".join), max_size=5).map(tuple))
def test_a_mirror_twice_is_none(units: tuple[str, ...]) -> None:
    assert mirrored_units(mirrored_units(units)) == units


def test_a_mirror_swaps_left_and_right_alone() -> None:
    assert mirrored_units(("4", "L10", "R6|L12B", "U14", "A1B")) == ("4", "R10", "L6|R12B", "U14", "A1B")

"""Whatever stands where something else belongs is told in one line of a few words."""

import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from model.checked import LISTED, STRICT, MisfitError, Number, checked, checked_json, raising


class OddError(Exception):
    pass


@raising(OddError)
@dataclass(frozen=True, config=STRICT)
class Part:
    name: str
    kind: Literal["one", "other"] = "one"
    count: Annotated[int, Field(ge=1)] = 1
    share: Annotated[Number, Field(ge=0, lt=0.5)] = 0.0
    rows: Annotated[tuple[Annotated[tuple[int, ...], LISTED], ...], LISTED] = ()

    def __post_init__(self) -> None:
        if self.name == self.kind:
            raise ValueError(f"name: expected another than the kind's, found {self.name}")


class Object(TypedDict, total=False):
    name: str
    rows: list[list[int]]


PART, OBJECT = TypeAdapter(Part), TypeAdapter(Object)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": 3}, "name: expected text, found 3"),
    ({"kind": "none"}, "kind: expected one or other, found 'none'"),
    ({"count": True}, "count: expected an integer, found True"),
    ({"count": 2.0}, "count: expected an integer, found 2.0"),
    ({"count": "2"}, "count: expected an integer, found '2'"),
    ({"count": 0}, "count: expected 1 or more, found 0"),
    ({"share": 0.5}, "share: expected a number below 0.5, found 0.5"),
    ({"share": float("nan")}, "share: expected a finite number, found nan"),
    ({"share": float("-inf")}, "share: expected a finite number, found -inf"),
    ({"share": -1e301}, "share: expected 0 or more, found -1e+301"),
    ({"share": None}, "share: expected a finite number, found None"),
    ({"rows": [[1], [2, None]]}, "rows.1.1: expected an integer, found None"),
    ({"rows": "ab"}, "rows: expected a list, found 'ab'"),
    ({"nmae": "x"}, "nmae: expected no field of that name, found 'x'"),
    ({"name": "one"}, "name: expected another than the kind's, found one"),
]


@pytest.mark.parametrize(("changes", "told"), WRONG)
def test_the_place_what_was_expected_and_what_was_found(changes: dict[str, Any], told: str) -> None:
    values = {"name": "x"} | changes
    with pytest.raises(MisfitError) as from_json:
        checked_json(PART, json.dumps(values))
    assert str(from_json.value) == told
    with pytest.raises(OddError) as made:
        Part(**values)
    assert str(made.value) == told


def test_what_is_missing_and_what_is_given_by_its_place() -> None:
    with pytest.raises(MisfitError, match=r"^name: expected a value, found nothing$"):
        checked_json(PART, "{}")
    with pytest.raises(OddError, match=r"^kind: expected one or other, found 3$"):
        Part("x", 3)  # type: ignore[arg-type]
    assert Part("x", rows=[[1, 2]]) == Part("x", "one", 1, 0, ((1, 2),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[1]", "[" * 100_000, '{"name": "\\ud800"}', b'{"name": "\xff"}', '{"a\\nb": 1, "name": "x"}'),
        *(f'{{"name": "x", "share": {digits}}}' for digits in ("1" * 500, "1" * 5_000, "1e999", "NaN")),
        *(f'{{"name": "x", "count": -{digits}}}' for digits in ("1" * 500, "1" * 5_000)),
        json.dumps({"x" * 100_000: 1, "name": ["y" * 1000] * 1000}),
    ],
)
def test_damaged_json_is_one_short_line(text: str | bytes) -> None:
    with pytest.raises(MisfitError) as caught:
        checked_json(PART, text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 3000


def test_values_that_name_each_other_many_times_are_told_in_a_few_words() -> None:
    bomb: Any = "x"
    for _ in range(60):
        bomb = [bomb] * 9
    for name in ("name", "count", "rows"):
        with pytest.raises(OddError, match=rf"^{name}[.0-9]*: expected") as caught:
            Part(**{"name": "x", name: bomb})
        assert len(str(caught.value)) < 20_000


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["name", "kind", "count", "share", "rows"]) | st.text(), values, max_size=6))
def test_anything_fits_or_is_told_in_one_line(raw: dict[str, Any]) -> None:
    for check in (lambda: Part(**raw), lambda: checked_json(PART, json.dumps(raw)), lambda: checked(OBJECT, raw)):
        try:
            check()
        except (OddError, MisfitError) as error:
            assert "expected" in str(error) and len(str(error).splitlines()) == 1


def test_a_pattern_with_braces_is_told_as_it_is() -> None:
    kind = TypeAdapter(Annotated[str, Field(pattern=r"^[0-9]{1,2}$")])
    with pytest.raises(MisfitError, match=r"\{1,2\}"):
        checked(kind, "abc")

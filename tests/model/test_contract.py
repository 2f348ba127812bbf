"""The contract: what it accepts, what it refuses, and that nothing is lost on the way through a model's metadata."""

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.contract import METADATA_KEY, ClipContract, Colour, CropGeometry, InputKind, NetworkInput, Reference
from model.errors import ContractError

FLOW = NetworkInput("flow", 64, scale=0.7)
EMA = Reference("ema", time_constant_s=2.0)


def contract(**changes: object) -> ClipContract:
    values: dict = {"class_names": ("negative", "positive", "surprise", "neutral"), "input": FLOW, "reference": EMA}
    return ClipContract(**(values | changes))


@given(
    frames=st.integers(9, 60),
    fps=st.floats(1, 240),
    size_px=st.integers(32, 128),
    kind=st.sampled_from(get_args(InputKind)),
    colour=st.sampled_from(["grey", "rgb"]),
    words=st.text(max_size=50),
)
def test_metadata_round_trip(frames: int, fps: float, size_px: int, kind: str, colour: str, words: str) -> None:
    before = contract(
        frames=frames,
        fps=fps,
        input=NetworkInput(kind, size_px, colour),  # type: ignore[arg-type]
        reference=Reference() if kind == "pixels" else EMA,
        training_data=words,
        scores={"uf1": 0.5, "n": 10, "people": ["a", "b"]},
    )
    assert ClipContract.from_metadata(before.to_metadata()) == before


def test_channels_follow_from_the_input() -> None:
    assert contract().input_shape == (30, 64, 64, 3)
    assert contract(input=NetworkInput("difference", 64)).input_shape == (30, 64, 64, 1)
    assert contract(input=NetworkInput("difference", 64, "rgb")).input_shape == (30, 64, 64, 3)
    assert {contract(input=NetworkInput("both", 64, colour)).input_shape for colour in get_args(Colour)} == {
        (30, 64, 64, 3)
    }
    assert contract(input=NetworkInput(), reference=Reference()).input.dtype == "uint8"


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ("one",)},
        {"class_names": ("one", "one")},
        {"class_names": ["one", "two"]},
        {"frames": 8},
        {"fps": 0.0},
        {"fps": float("nan")},
        {"max_gap_s": -1.0},
        {"reference": Reference()},
        {"input": NetworkInput("pixels", 64)},
        {"input": NetworkInput("flow", 256)},
        {"schema_version": 0},
        {"training_data": None},
        {"scores": [0.9]},
        {"frames": 10**9},
        {"fps": 1e-3},
        {"fps": 1e6},
        {"fps": 10**400},
        {"class_names": ("two\nlines", "b")},
        {"crop": CropGeometry(iod_px=1e-320)},
    ],
)
def test_what_does_not_fit_is_refused(changes: dict) -> None:
    with pytest.raises(ContractError, match=r"expected .*, found "):
        contract(**changes)


@pytest.mark.parametrize(
    "bad",
    [{"size_px": 8}, {"size_px": 2**31}, {"iod_px": 0}, {"iod_px": 500.0}, {"eye_line_px": 128.0}],
)
def test_bad_geometry_is_refused(bad: dict) -> None:
    with pytest.raises(ContractError):
        CropGeometry(**bad)


@pytest.mark.parametrize(
    "bad", [{"flow_smoothness": 1e308}, {"flow_smoothing_px": 1e9}, {"flow_finest_scale": 1.0}, {"size_px": 2**31}]
)
def test_what_would_end_the_native_code_is_refused(bad: dict) -> None:
    with pytest.raises(ContractError, match=r"input\..*expected .*, found "):
        NetworkInput("flow", **({"size_px": 64} | bad))


def test_missing_metadata_says_what_was_there() -> None:
    with pytest.raises(ContractError, match="found producer"):
        ClipContract.from_metadata({"producer": "someone"})


def test_fields_missing_unknown_or_of_another_version_are_refused() -> None:
    raw = json.loads(contract().to_json())
    for damage in (
        lambda r: r.pop("fps"),
        lambda r: r.update(extra=1),
        lambda r: r.update(schema_version=99),
        lambda r: r["crop"].pop("iod_px"),
        lambda r: r.update(input="flow"),
        lambda r: r.update(class_names="negative"),
    ):
        damaged = json.loads(json.dumps(raw))
        damage(damaged)
        with pytest.raises(ContractError):
            ClipContract.from_metadata({METADATA_KEY: json.dumps(damaged)})


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("[" * 100_000 + "]" * 100_000, "lists too deep in lists"),
        ("9" * 5000, "a number of too many digits"),
        ('"\\ud800"', "half a letter"),
    ],
)
def test_json_that_python_cannot_take_is_refused(part: str, says: str) -> None:
    text = contract(training_data="words").to_json().replace('"words"', part)
    with pytest.raises(ContractError, match=says):
        ClipContract.from_json(text)


@given(st.text(max_size=200))
def test_garbage_never_gets_past_the_contract_error(text: str) -> None:
    with pytest.raises(ContractError):
        ClipContract.from_metadata({METADATA_KEY: text})


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        contract().fps = 60.0  # type: ignore[misc]

"""The settings of a training run out of a preset, a YAML or JSON file and flags. No TensorFlow here."""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from model.atomic import regular_file
from train.errors import UsageError, check_type
from train.fit_config import Real, TrainConfig

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Fang, Liu, Liu, MLSP 2024, section 3: every setting that a default elsewhere could change.
    "paper": {
        "variant": "paper",
        "input": "pixels",
        "size_px": 128,
        "colour": "rgb",
        "reference": "none",
        "epochs": 200,
        "batch": 8,
        "learning_rate": 1e-3,
        "decay": 0.9,
        "decay_epochs": 40,
        "dropout": 0.3,
        "label_smoothing": 0.0,
        "class_weights": "auto",
    },
}


def config_from(values: Mapping[str, Any]) -> TrainConfig:
    """A config from plain values; raises UsageError on unknown or missing names and bad values."""
    known = [field.name for field in fields(TrainConfig)]
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            raise UsageError(
                f"setting {name!r} is unknown"
                + (f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}")
            )
    for name, flag in (("data", "--data DIR"), ("out", "--out RUN")):
        if not values.get(name):
            raise UsageError(f"{name}: nothing given; add {flag}, or {name}: to the config file")
    return TrainConfig(**values)


def read_config_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file (JSON is YAML); raises UsageError when there is none."""
    try:
        values = yaml.safe_load(regular_file(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; expected a YAML or JSON config file") from error
    except Exception as error:  # of a date or a number that is none, YAML's reader says what Python said to it
        raise UsageError(f"{path}: not YAML or JSON ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path}: expected settings as 'name: value' lines, found {type(values).__name__}")
    return _with_gain_renamed(path, {str(name): value for name, value in values.items()})


def _with_gain_renamed(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Files of runs from before `gain` became `magnify`, for pixels `contrast`, which then meant the same."""
    if "gain" not in values:
        return values
    gain = check_type(f"{path}: gain", values.pop("gain"), Real)
    name = "contrast" if values.get("input") == "pixels" else "magnify"
    if name in values:
        raise UsageError(f"{path}: gain and {name} mean the same; keep {name}")
    return values | {name: gain if name == "contrast" else [1 - gain, 1 + gain]}


def preset(name: str) -> dict[str, Any]:
    """The preset's settings; raises UsageError for a name that is none."""
    if name not in PRESETS:
        raise UsageError(f"preset: expected {' or '.join(PRESETS)}, found {name!r}")
    return dict(PRESETS[name])

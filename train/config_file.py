"""The settings of a training run out of a YAML or JSON file and flags. No TensorFlow here.

Settings of `python -m train fit` under a name; files and flags override them.
"""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from train.errors import UsageError, check_type
from train.fit_config import TrainConfig

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
    return TrainConfig(**{name: _normal(name, value) for name, value in values.items()})


def read_config_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file (JSON is YAML); raises UsageError when there is none."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
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
    gain = _normal("gain", values.pop("gain"))
    check_type(f"{path}: gain", gain, float)
    name = "contrast" if values.get("input") == "pixels" else "magnify"
    if name in values:
        raise UsageError(f"{path}: gain and {name} mean the same; keep {name}")
    return values | {name: gain if name == "contrast" else [1 - gain, 1 + gain]}


def _normal(name: str, value: Any) -> Any:
    """Lists become tuples, one string where a list is wanted becomes a list of one, whole numbers floats."""
    if name in ("data", "validation_people", "exclude_people"):
        items = [value] if isinstance(value, str | int) else (value or [])
        known = isinstance(items, list | tuple) and all(isinstance(item, str | int | float) for item in items)
        return tuple(str(item) for item in items) if known else value
    if name == "made_rates" and isinstance(value, list | tuple):
        return tuple(float(rate) if isinstance(rate, int) else rate for rate in value)
    if name in ("class_weights", "magnify") and isinstance(value, list):
        return tuple(value)
    if name == "mixed_precision" and isinstance(value, bool):  # YAML 1.1 reads on and off as booleans
        return "on" if value else "off"
    if isinstance(value, str) and name not in ("class_weights", "out", "cache_dir", "variant", "note", "made"):
        try:  # YAML 1.1 reads 1e-3 as a string
            return float(value)
        except ValueError:
            return value
    return value


def preset(name: str) -> dict[str, Any]:
    """The preset's settings; raises UsageError for a name that is none."""
    if name not in PRESETS:
        raise UsageError(f"preset: expected {' or '.join(PRESETS)}, found {name!r}")
    return dict(PRESETS[name])

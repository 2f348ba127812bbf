"""Settings of `python -m train fit` under a name; files and flags override them."""

from collections.abc import Mapping
from typing import Any

from train.errors import UsageError

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


def preset(name: str) -> dict[str, Any]:
    """The preset's settings; raises UsageError for a name that is none."""
    if name not in PRESETS:
        raise UsageError(f"preset: expected {' or '.join(PRESETS)}, found {name!r}")
    return dict(PRESETS[name])

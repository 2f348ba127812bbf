"""What `python -m train spot-eval --json` measured of a model, for the model's own contract.

Nothing in such a file proves which model it was: whoever exports says so.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from export.errors import ExportError
from model.atomic import regular_file
from model.contract import ClipContract

_QUIET = {"rest": "a resting face", "quiet": "clips without annotated events"}
_GROUPS = ("made videos", "calm clips", "moving clips")
_RECALL_AT = ("0.5", "1")
"""False events a watchable minute at which recall goes into the contract."""


def with_spotting(contract: ClipContract, path: Path) -> ClipContract:
    """The contract with `scores["spotting"]`: F1, false events a minute on each kind of video, people and command; of made
    videos and of real clips with expressions in them also recall by false events a watchable minute.

    Raises ExportError for a file that is not what `spot-eval --json` writes.
    """
    try:
        told = json.loads(regular_file(path).read_text(encoding="utf-8"))
        micro = told["micro"]
        spotting: dict[str, Any] = {
            "f1": micro["localised"]["f1"],
            "f1_with_class": micro["with_class"]["f1"],
            "chance_f1": told["chance"]["f1"],
            "n": micro["n"],
            "people": list(told["people"]),
            "command": told["command"],
            "made videos": _false_events(told, micro["false_per_min"]),
        }
        for key, name in _QUIET.items():
            if isinstance(told.get(key), Mapping):
                spotting[name] = _false_events(told[key], told[key]["false_per_min"])
        # Files of versions before there were groups have none.
        for name, group in told.get("groups", {}).items():
            if name in _GROUPS:
                spotting[name] = _group(group)
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ExportError(f"{path}: expected what `python -m train spot-eval --json` writes ({error!r})") from error
    return replace(contract, scores={**contract.scores, "spotting": spotting})


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_false_events(group, group["false_per_min"]),
        "n": int(group["n"]),
        "people": list(group["people"]),
        "recall": round(float(group["recall"]), 4),
        **{f"recall at {rate} a minute": _rounded(group["recall_at"][rate]) for rate in _RECALL_AT},
    }


def _false_events(told: Mapping[str, Any], per_min: float | None) -> dict[str, float | None]:
    """`false_per_min` is a watchable minute, and None where nothing was; a minute of video where none was told of."""
    minutes = {name: round(float(told[name]), 2) for name in ("minutes", "watchable_minutes") if name in told}
    return {**minutes, "false_per_min": _rounded(per_min)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)

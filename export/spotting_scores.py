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


def with_spotting(contract: ClipContract, path: Path) -> ClipContract:
    """The contract with `scores["spotting"]`: F1, false events a minute on each kind of video, people and command.

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
            "made videos": _false_events(told["minutes"], micro["false_per_min"]),
        }
        for key, name in _QUIET.items():
            if isinstance(told.get(key), Mapping):
                spotting[name] = _false_events(told[key]["minutes"], told[key]["false_per_min"])
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ExportError(f"{path}: expected what `python -m train spot-eval --json` writes ({error!r})") from error
    return replace(contract, scores={**contract.scores, "spotting": spotting})


def _false_events(minutes: float, per_min: float) -> dict[str, float]:
    return {"minutes": round(float(minutes), 2), "false_per_min": round(float(per_min), 4)}

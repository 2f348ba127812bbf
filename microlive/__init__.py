"""Real-time micro-expression recognition: everything a program needs of Microlive, by one name. Start with `Recognizer`.

What a name stands for is loaded when it is first used.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.contract import ClipContract
    from model.errors import ContractError, MicroliveError
    from model.types import (
        Event,
        EventKind,
        FaceCrop,
        FaceResult,
        Frame,
        FrameResult,
        Pace,
        Prediction,
        Rejection,
        Status,
    )
    from stream.engine.model_file import EngineChoice, ModelError, Provider
    from stream.given_pictures import FrameError, PictureColour
    from stream.machine import VERSION as __version__
    from stream.recognizer import Recognizer
    from stream.sinks.base import Sink, SinkError
    from stream.sinks.tables import CsvSink, EventsSink
    from stream.sources.base import CameraSettings, FrameSource, LiveSettings, SourceError, SourceInfo
    from stream.sources.open import list_cameras, open_source

__all__ = [
    "CameraSettings",
    "ClipContract",
    "ContractError",
    "CsvSink",
    "EngineChoice",
    "Event",
    "EventKind",
    "EventsSink",
    "FaceCrop",
    "FaceResult",
    "Frame",
    "FrameError",
    "FrameResult",
    "FrameSource",
    "LiveSettings",
    "MicroliveError",
    "ModelError",
    "Pace",
    "PictureColour",
    "Prediction",
    "Provider",
    "Recognizer",
    "Rejection",
    "Sink",
    "SinkError",
    "SourceError",
    "SourceInfo",
    "Status",
    "__version__",
    "list_cameras",
    "open_source",
]

_HOMES = {
    "model.contract": "ClipContract",
    "model.errors": "ContractError MicroliveError",
    "model.types": "Event EventKind FaceCrop FaceResult Frame FrameResult Pace Prediction Rejection Status",
    "stream.engine.model_file": "EngineChoice ModelError Provider",
    "stream.given_pictures": "FrameError PictureColour",
    "stream.recognizer": "Recognizer",
    "stream.sinks.base": "Sink SinkError",
    "stream.sinks.tables": "CsvSink EventsSink",
    "stream.sources.base": "CameraSettings FrameSource LiveSettings SourceError SourceInfo",
    "stream.sources.open": "list_cameras open_source",
}
_SCRIPTS = ("microlive", "microlive-train", "microlive-export")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("stream.machine").VERSION
    for module, names in _HOMES.items():
        if name in names.split():
            value = globals()[name] = getattr(importlib.import_module(module), name)
            return value
    raise AttributeError(f"microlive has no {name}")


def __dir__() -> list[str]:
    return __all__


def _another_package() -> str | None:
    """The folders of the program have common names: what is wrong where Python finds somebody else's first."""
    ours = Path(__file__).resolve().parent.parent
    for name in ("model", "stream"):
        try:
            spec = importlib.util.find_spec(name)
        except ValueError:  # a module that something has made by hand
            spec = None
        found = Path(spec.origin).resolve() if spec is not None and spec.origin is not None else None
        if found is None or found.parent != ours / name:
            return (
                f"microlive needs its own package {name} in {ours / name}, but Python finds {found or 'another one'} first: "
                "rename that, or take its folder off PYTHONPATH and sys.path"
            )
    return None


if _wrong := _another_package():
    if Path(sys.argv[0]).stem in _SCRIPTS:
        sys.exit(f"error: {_wrong}")
    raise ImportError(_wrong)

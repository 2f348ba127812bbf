"""Loads MediaPipe's Face Mesh alone.

`import mediapipe` also imports its other solutions, its task API and with that TensorFlow, JAX and Matplotlib where they
are installed: seconds of start-up and hundreds of megabytes that a live program has no use for. Here the packages whose
`__init__` does that are stood in for by empty ones with the same path. A program that wants all of MediaPipe beside this
one imports it first; it is then used as it is.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_EAGER_PACKAGES = ("mediapipe", "mediapipe.tasks", "mediapipe.python.solutions")


def load_face_mesh_class() -> Any:
    """The class `mediapipe.python.solutions.face_mesh.FaceMesh`; ImportError when MediaPipe is not installed."""
    if "mediapipe" not in sys.modules:
        spec = importlib.util.find_spec("mediapipe")
        if spec is None or not spec.submodule_search_locations:
            raise ImportError("MediaPipe is not installed: run `make install`")
        root = Path(next(iter(spec.submodule_search_locations)))
        sys.modules.update({name: _empty_package(name, root) for name in _EAGER_PACKAGES})
    return importlib.import_module("mediapipe.python.solutions.face_mesh").FaceMesh


def _empty_package(name: str, root: Path) -> ModuleType:
    package = ModuleType(name, "Stands in for a package that imports more than is needed.")
    package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    return package

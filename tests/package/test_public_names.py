"""`import microlive`: its names, what it loads, and somebody else's package of the name of one of ours."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import microlive
from stream.machine import VERSION
from tests.helpers.paths import ROOT


def run(code: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """In a folder, which Python searches first."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_every_name_is_there_and_sorted() -> None:
    assert microlive.__all__ == sorted(microlive.__all__) == dir(microlive)
    for name in microlive.__all__:
        assert getattr(microlive, name) is not None
    with pytest.raises(AttributeError, match="microlive has no Recogniser"):
        _ = microlive.Recogniser  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names_in_the_same_places() -> None:
    tree = ast.parse(Path(microlive.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    seen = {node.module: [alias.name for alias in node.names] for node in imports if node.module != "pathlib"}
    assert seen.pop("stream.machine") == ["VERSION"]
    assert seen == {module: names.split() for module, names in microlive._HOMES.items()}


def test_every_class_and_function_says_how_it_is_used() -> None:
    told = {name: getattr(microlive, name) for name in microlive.__all__}
    without = [
        name
        for name, value in told.items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and "Example:\n" not in (inspect.getdoc(value) or "")
    ]
    assert without == []


def test_errors_have_one_base() -> None:
    for name in ("ContractError", "FrameError", "ModelError", "SinkError", "SourceError"):
        assert issubclass(getattr(microlive, name), microlive.MicroliveError)


def every_error() -> list[type]:
    """All exception classes in our folders, the inner ones too."""
    found: list[type] = []
    for folder in ("model", "stream", "train", "export"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            classes = [
                node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)
            ]
            if any(re.search(r"Error\b|Exception\b", ast.unparse(base)) for node in classes for base in node.bases):
                name = path.relative_to(ROOT).as_posix().removesuffix(".py").replace("/", ".")
                values = vars(importlib.import_module(name)).values()
                found += [v for v in values if inspect.isclass(v) and issubclass(v, Exception) and v.__module__ == name]
    return found


def test_all_errors_of_ours_derive_from_it() -> None:
    errors = every_error()
    assert len(errors) > 12
    assert [error for error in errors if not issubclass(error, microlive.MicroliveError)] == []


def test_the_version_stands_in_one_place() -> None:
    assert microlive.__version__ == VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{VERSION}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_importing_it_loads_nothing_heavy() -> None:
    done = run("import sys, microlive; print(sorted({'cv2', 'numpy', 'onnxruntime', 'mediapipe'} & set(sys.modules)))")
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("name", ["model", "stream"])
@pytest.mark.parametrize("kind", ["module", "package"])
def test_another_package_of_the_same_name_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    other = tmp_path / f"{name}.py" if kind == "module" else tmp_path / name / "__init__.py"
    other.parent.mkdir(exist_ok=True)
    other.write_text("")
    done = run("import microlive", tmp_path)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.startswith("ImportError: microlive needs its own package")
    assert str(other) in last and str(ROOT / name) in last


def test_so_is_one_that_is_loaded_already() -> None:
    done = run("import sys, types; sys.modules['model'] = types.ModuleType('model'); import microlive")
    assert "Python finds another one first" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("script", ["microlive", "microlive-train", "microlive-export"])
def test_the_commands_say_it_in_one_line(tmp_path: Path, script: str) -> None:
    (tmp_path / "model.py").write_text("")
    done = run(f"import sys; sys.argv = ['/some/where/{script}']; from microlive.scripts import live", tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"error: microlive needs its own package model in .*\n", done.stderr)


def test_a_folder_of_the_same_name_that_is_no_package_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    done = run("import microlive; print(microlive.ClipContract.__module__)", tmp_path)
    assert done.stdout == "model.contract\n", done.stderr

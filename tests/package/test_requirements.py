"""What the package asks for, what is pinned, and what is locked agree; and the live program asks for all it imports."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SYSTEMS = [
    {"sys_platform": "linux", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_machine": "arm64"},
    {"sys_platform": "win32", "platform_machine": "AMD64"},
]
"""For which there is a lock."""


def pinned(name: str) -> list[Requirement]:
    """The lines of a requirements file, and of those that it names."""
    found: list[Requirement] = []
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found += pinned(line[3:])
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


def asked() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    return [
        Requirement(line) for line in (*PROJECT["dependencies"], *(one for lines in extras.values() for one in lines))
    ]


def locked() -> dict[str, list[tuple[str, Marker | None, int]]]:
    """By name: version, marker and the number of hashes of every entry."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found: dict[str, list[tuple[str, Marker | None, int]]] = {}
    for entry in re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines():
        requirement, *hashes = entry.split(" --hash=sha256:")
        one = Requirement(requirement.strip())
        version = str(one.specifier).removeprefix("==")
        found.setdefault(canonicalize_name(one.name), []).append((version, one.marker, len(hashes)))
    return found


def test_every_range_holds_what_is_pinned() -> None:
    pins = {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in pinned("requirements-dev.txt")
    }
    for one in asked():
        assert one.specifier.contains(pins[canonicalize_name(one.name)]), one


def test_what_is_pinned_is_asked_for() -> None:
    # MediaPipe asks for contrib, which is a whole `cv2`: the plain one beside it is for those who name it, at one version.
    names = {canonicalize_name(one.name) for one in asked()} | {"opencv-python"}
    assert [one.name for one in pinned("requirements.txt") if canonicalize_name(one.name) not in names] == []


def test_the_lock_holds_what_is_pinned_with_hashes_and_no_address() -> None:
    lock = locked()
    for one in pinned("requirements-dev.txt"):
        assert {f"=={version}" for version, _, _ in lock[canonicalize_name(one.name)]} == {str(one.specifier)}, one
    assert all(hashes for entries in lock.values() for _, _, hashes in entries)
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|--trusted", text)


@pytest.mark.parametrize("python", ["3.11", "3.12"])
@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system["sys_platform"])
def test_every_system_gets_one_version_of_each_and_one_runtime(system: dict[str, str], python: str) -> None:
    here = {**system, "python_version": python, "python_full_version": f"{python}.7", "implementation_name": "cpython"}
    chosen = {
        name: [version for version, marker, _ in entries if marker is None or marker.evaluate(here)]
        for name, entries in locked().items()
    }
    assert {name: versions for name, versions in chosen.items() if len(versions) > 1} == {}
    assert bool(chosen["onnxruntime"]) + bool(chosen["onnxruntime-gpu"]) == 1
    assert len({versions[0] for name, versions in chosen.items() if name.startswith("opencv-") and versions}) == 1


def third_party(*paths: Path) -> set[str]:
    """The packages that bring what these files import."""
    modules = {
        (node.names[0].name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    ours = {"model", "stream", "train", "export", "microlive", "run_live", ""}
    brought = importlib.metadata.packages_distributions()
    return {
        canonicalize_name(brought[name][0]).removesuffix("-gpu").replace("opencv-python", "opencv-contrib-python")
        for name in modules
        - ours
        - {"fer"}
        - set(sys.stdlib_module_names)  # in a folder of its own, see requirements-bench.txt
    }


def test_the_live_program_asks_for_all_that_it_imports() -> None:
    light = [ROOT / "model" / f"{name}.py" for name in ("contract", "types", "preprocess", "quiet")]
    live = third_party(
        *(ROOT / "stream").rglob("*.py"), *(ROOT / "microlive").rglob("*.py"), *light, ROOT / "run_live.py"
    )
    with_jinja = {"markupsafe"}
    asked = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert live - with_jinja - {"pylsl", "pyarrow"} <= asked
    assert not asked & {"tensorflow", "keras"}


def test_train_and_export_find_theirs_in_the_extra() -> None:
    names = third_party(*(path for folder in ("model", "train", "export") for path in (ROOT / folder).rglob("*.py")))
    lines = (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["train"])
    assert names - {"markupsafe", "ray"} <= {canonicalize_name(Requirement(line).name) for line in lines}

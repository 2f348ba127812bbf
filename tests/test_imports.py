"""The house's walls: who may import whom, no circles, one name for one thing, and what the live process never loads."""

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

FOLDERS = ("model", "stream", "train", "export", "microlive")
FRAMEWORKS = {"tensorflow", "keras", "jax"}

LIGHT = (
    "model.contract",
    "model.decision",
    "model.errors",
    "model.types",
    "model.preprocess",
    "model.quiet",
    "model.atomic",
    "model.signals",
    "model.checked",
    "model.guards",
    "model.console",
    "model.decoding",
)
"""What the live side may have of `model`: none of it loads a training framework."""

ENGINE = ("stream.engine.engines", "stream.engine.model_file")
MEASURED = (
    *ENGINE,
    "stream.events.evidence",
    "stream.events.judgement",
    "stream.events.motion",
    "stream.events.settings",
    "stream.face.align",
    "stream.face.follower",
    "stream.face.landmarks",
    "stream.face.quality",
    "stream.health",
    "stream.labels.label_log",
    "stream.labels.reviewable",
    "stream.machine",
    "stream.recognizer",
    "stream.session.facts",
    "stream.session.frame_rows",
    "stream.session.replay",
    "stream.session.session_folder",
    "stream.sources.base",
    "stream.sources.demo",
    "stream.sources.file",
    "stream.sources.open",
    "stream.sources.pictures",
)
"""What is measured offline is what runs live, and what was recorded and reviewed is learned from: these and no other modules of
`stream` are for `train`."""

# The longest entry that a file's path starts with counts. A name stands for the module and for what lies under it.
MAP: dict[str, tuple[str, ...]] = {
    "model": ("model",),
    "model/errors.py": (),
    "model/decision.py": ("model.errors",),
    "model/contract.py": ("model.decision", "model.errors"),
    "model/types.py": (),
    "model/guards.py": (),
    "model/quiet.py": (),
    "model/console.py": ("model.guards",),
    "model/decoding.py": ("model.atomic", "model.guards", "model.types"),
    "model/atomic.py": (),
    "model/signals.py": (),
    "model/checked.py": ("model.contract", "model.errors"),
    "model/preprocess.py": ("model.contract", "model.types"),
    "stream": (*LIGHT, "stream"),
    "stream/fleet": (*LIGHT, "model.ray_cluster", "stream"),
    "train": ("model", "train", *MEASURED),
    "export": ("model", "export", *ENGINE, "stream.events.judgement"),
    "microlive": (*LIGHT, "stream", "microlive"),
}
ONLY = {"stream.cli": ("stream/cli/", "stream/benchmark/__main__.py", "stream/fleet/__main__.py", "run_live.py")}
"""Modules that nobody else may import."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def inside(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module(path: Path) -> str:
    return inside(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module(path): path for path in files(*FOLDERS)}


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it; of ours the modules themselves."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return found


def under(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_map(folder: str) -> None:
    wrong = []
    for path in files(folder):
        place = inside(path)
        entry = max((one for one in MAP if place == one or place.startswith(f"{one}/")), key=len)
        ours = {name for name in imported(path) if name.split(".")[0] in (*FOLDERS, "run_live", "tests")}
        wrong += [f"{place} imports {name}" for name in ours if not under(name, MAP[entry])]
        for guarded, users in ONLY.items():
            if not place.startswith(users):
                wrong += [f"{place} imports {name}" for name in ours if under(name, (guarded,))]
    assert wrong == []


def test_the_map_names_nothing_that_nobody_needs() -> None:
    needed = {name for path in files("train") for name in imported(path)}
    assert [name for name in MEASURED if name not in needed] == []


def test_no_circles() -> None:
    """Wherever the import stands: one inside a function is a circle too."""
    arrows = {name: {other for other in imported(path) if other in MODULES} for name, path in MODULES.items()}
    # Taking away what imports nothing of what is left must take away everything.
    left = dict(arrows)
    while free := [name for name, others in left.items() if not (others - {name}) & left.keys()]:
        for name in free:
            del left[name]
    assert sorted(left) == []


def test_one_name_for_one_thing() -> None:
    """No file and no public class has a name twice; a command's file is called like the command."""
    named, classes = defaultdict(list), defaultdict(list)
    for path in files(*FOLDERS):
        if path.parent != ROOT / "train" / "commands":
            named[path.name].append(inside(path))
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(inside(path))
    usual = ("__init__.py", "__main__.py", "base.py", "errors.py")
    assert {name: places for name, places in named.items() if len(places) > 1 and name not in usual} == {}
    assert {name: places for name, places in classes.items() if len(places) > 1} == {}


def test_every_folder_is_on_the_contributors_map() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = {inside(path.parent) for path in files(*FOLDERS)}
    assert sorted(folder for folder in folders if f"`{folder}`" not in text) == []


def test_the_live_side_names_no_training_framework() -> None:
    live = [*files("stream", "microlive"), ROOT / "run_live.py", *(MODULES[name] for name in (*LIGHT, "model"))]
    assert [p for p in live if {name.split(".")[0] for name in imported(p)} & FRAMEWORKS] == []


@pytest.mark.parametrize("name", ["contract", "decision", "errors", "quiet", "atomic", "guards", "signals"])
def test_standard_library_only(name: str) -> None:
    """Beside modules of `model` that have nothing else either."""
    found = {n for n in imported(ROOT / "model" / f"{name}.py") if n not in ("model.decision", "model.errors")}
    assert {n.split(".")[0] for n in found} <= set(sys.stdlib_module_names)


def test_package_init_files_only_re_export() -> None:
    for path in (p for p in files(*FOLDERS) if p.name == "__init__.py" and p.parent.name != "microlive"):
        for node in tree(path).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_all = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
            assert is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom), (
                f"{path}: {ast.unparse(node)}"
            )


def test_a_live_run_loads_no_training_framework(tmp_path: Path) -> None:
    """The whole live line on the demo's first frames, in a process of its own."""
    code = (
        "import sys, run_live\n"
        f"code = run_live.main(['--source', 'demo', '--headless', '--pace', 'fast', '--max-frames', '40', '--csv', r'{tmp_path / 'out.csv'}'])\n"
        "loaded = sorted({name.split('.')[0] for name in sys.modules} & "
        "{'tensorflow', 'keras', 'jax', 'matplotlib', 'tf2onnx', 'pydantic', 'sklearn', 'statsmodels', 'pympi', 'train', 'export'})\n"
        "print('LOADED', code, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "LOADED 0 []" in done.stdout, done.stdout + done.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 41

"""Who may import whom, and what the live process never loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

FOLDERS = ("model", "stream", "train", "export")
FRAMEWORKS = {"tensorflow", "keras", "jax"}
MODEL_LIGHT = {"model", "model.contract", "model.types", "model.preprocess"}

# Modules that may import more of ours than their folder may.
EXCEPTIONS = {
    "train/experiments/live_cost.py": {"export.streaming.build", "export.window_model"},
}


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] in (*FOLDERS, "run_live")}


def files(folder: str) -> list[Path]:
    return sorted(ROOT.joinpath(folder).rglob("*.py"))


def allowed(path: Path, name: str) -> bool:
    inside = path.relative_to(ROOT).as_posix()
    folder = inside.split("/")[0]
    if name in EXCEPTIONS.get(inside, ()):
        return True
    if inside in ("model/contract.py", "model/types.py"):
        return False
    if inside == "model/preprocess.py":
        return name in ("model.contract", "model.types")
    if folder == "model":
        return name.startswith("model")
    if folder == "stream":
        return name.startswith("stream") or name in MODEL_LIGHT
    if folder == "export":
        return name.split(".")[0] in ("model", "stream", "export", "train")
    return name.split(".")[0] in ("model", "stream", "train")


@pytest.mark.parametrize("folder", FOLDERS)
def test_layers(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(folder)
        for name in ours(imported(path))
        if not allowed(path, name)
    ]
    assert wrong == []


def test_the_live_side_names_no_training_framework() -> None:
    live = [
        *files("stream"),
        ROOT / "run_live.py",
        *(ROOT / "model" / f"{m}.py" for m in ("contract", "types", "preprocess", "__init__")),
    ]
    assert [p for p in live if {name.split(".")[0] for name in imported(p)} & FRAMEWORKS] == []


def test_contract_is_standard_library_only() -> None:
    assert {name.split(".")[0] for name in imported(ROOT / "model" / "contract.py")} <= set(sys.stdlib_module_names)


def test_package_init_files_only_re_export() -> None:
    for path in (p for folder in FOLDERS for p in files(folder) if p.name == "__init__.py"):
        for node in ast.parse(path.read_text()).body:
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
        "loaded = sorted({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'jax', 'matplotlib', 'tf2onnx'})\n"
        "print('LOADED', code, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "LOADED 0 []" in done.stdout, done.stdout + done.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 41

"""What the commands `microlive`, `microlive-fleet`, `microlive-train` and `microlive-export` run."""

import importlib
import re
import sys
from importlib import metadata


def live() -> int:
    """As `python run_live.py`."""
    return importlib.import_module("run_live").main()


def fleet() -> int:
    """As `python -m stream.fleet`."""
    return importlib.import_module("stream.cli.fleet").main()


def train() -> int:
    """As `python -m train`; 1 where what it needs is not installed."""
    return _with_extra("train", "train.__main__")


def export() -> int:
    """As `python -m export`; 1 where what it needs is not installed."""
    return _with_extra("train", "export.__main__")


def _with_extra(extra: str, module: str) -> int:
    missing = [name for name in _names(extra) if not _is_installed(name)]
    if missing:
        others = f" and {len(missing) - 1} others are" if len(missing) > 1 else " is"
        print(f'error: {missing[0]}{others} not installed here: pip install "microlive[{extra}]"', file=sys.stderr)
        return 1
    return importlib.import_module(module).main()


def _names(extra: str) -> list[str]:
    """The packages that an extra brings, as the installed package says itself."""
    lines = (line for line in metadata.requires("microlive") or () if re.search(rf"extra == .{extra}.", line))
    return [name.group() for line in lines if (name := re.match(r"[\w.-]+", line))]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True

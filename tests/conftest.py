"""What several test files share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole line once, small: a folder with `data` (clips), `run` (two epochs) and `exported` (both models)."""
    from export.__main__ import main as export_main
    from train.__main__ import main as train_main

    folder = tmp_path_factory.mktemp("line")
    data, run, out = (str(folder / name) for name in ("data", "run", "exported"))
    assert train_main(["synth", "--out", data, "--clips", "40", "--drawn", "3", "--jobs", "1", "--seed", "5"]) == 0
    fit = [
        "fit",
        "--data",
        data,
        "--out",
        run,
        "--size-px",
        "32",
        "--epochs",
        "2",
        "--workers",
        "1",
        "--validation-share",
        "0.3",
    ]
    assert train_main(fit) == 0
    assert export_main([run, "--out", out]) == 0
    return folder

"""The folder of a run belongs to one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from train.errors import UsageError
from train.files import sole_use

if sys.platform == "win32":
    pytest.skip("folders are not locked there", allow_module_level=True)

_HOLD = """
import sys, time
from pathlib import Path
from train.files import sole_use
with sole_use(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_and_a_killed_one_lets_go(tmp_path):
    folder = tmp_path / "run"
    holder = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(holder, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="another run is writing there"), sole_use(folder):
            pass
        other.kill()
        other.wait()
    with sole_use(folder):
        (folder / "kept").write_text("")
    assert (folder / "kept").is_file()


@pytest.mark.parametrize("was_there", [False, True])
def test_only_a_folder_that_was_made_and_stayed_empty_goes(tmp_path: Path, was_there: bool) -> None:
    folder = tmp_path / "run"
    if was_there:
        folder.mkdir()
    with pytest.raises(KeyError), sole_use(folder):
        raise KeyError
    assert folder.is_dir() == was_there

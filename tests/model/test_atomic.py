"""A file is there whole or not at all."""

import errno
from pathlib import Path

import pytest

from model.atomic import whole_file


def test_a_file_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    (tmp_path / "plain").touch()
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert (path.read_text(), temporary.suffix, temporary.parent) == ("old", ".txt", tmp_path)
    assert path.read_text() == "new"
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.txt", "plain"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no"), OSError("of something else")])
def test_of_a_block_that_fails_nothing_stays(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)) as caught, whole_file(path) as temporary:
        temporary.write_text("half of it")
        raise error
    assert caught.value is error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_that_was_wanted(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught, whole_file(path) as temporary:
        temporary.write_text("new")
    assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="No space") as full, whole_file(tmp_path / "b"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.filename == str(tmp_path / "b")

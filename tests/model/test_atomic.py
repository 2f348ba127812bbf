"""A file is there whole or not at all."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from model.atomic import clash, regular_file, whole_file


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


def test_who_takes_every_file_of_one_ending_does_not_find_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with whole_file(path, ending=".part") as temporary:
        temporary.write_text("half of it")
        assert list(tmp_path.glob("*.txt")) == [] and temporary.parent == tmp_path
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


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


def test_the_file_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.txt").write_text("old")
    for name, target in (("link.txt", "far/a.txt"), ("link2.txt", "link.txt"), ("dangling.txt", "far/b.txt")):
        (tmp_path / name).symlink_to(target)
    for name, text in (("link2.txt", "new"), ("dangling.txt", "first")):
        with whole_file(tmp_path / name) as temporary:
            temporary.write_text(text)
        assert (tmp_path / name).is_symlink() and (tmp_path / name).read_text() == text
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == ["a.txt", "b.txt"]
    assert (tmp_path / "far" / "a.txt").read_text() == "new"


@pytest.mark.parametrize(("target", "code"), [("nowhere/a.txt", errno.ENOENT), ("link.txt", errno.ELOOP)])
def test_a_link_to_nowhere_names_itself(tmp_path: Path, target: str, code: int) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    with pytest.raises(OSError, match=r"No such file|Too many levels") as caught, whole_file(link) as temporary:
        temporary.write_text("new")
    assert (caught.value.errno, caught.value.filename) == (code, str(link))
    assert list(tmp_path.iterdir()) == [link]


def test_a_fifo_is_written_to_and_stays(tmp_path: Path) -> None:
    fifo, read = tmp_path / "fifo.json", list[str]()
    os.mkfifo(fifo)
    (tmp_path / "link.json").symlink_to("fifo.json")
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()))
    reader.start()
    with whole_file(tmp_path / "link.json") as temporary:
        temporary.write_text("all of it")
    reader.join(10)
    assert read == ["all of it"] and stat.S_ISFIFO(fifo.stat().st_mode) and (tmp_path / "link.json").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    for name in ("null", "full"):
        (tmp_path / name).symlink_to(f"/dev/{name}")
    with whole_file(tmp_path / "null") as temporary:
        temporary.write_text("gone")
    with pytest.raises(OSError, match="No space left") as full, whole_file(tmp_path / "full") as temporary:
        temporary.write_text("gone")
    assert full.value.filename == str(tmp_path / "full")
    assert all(stat.S_ISCHR(os.stat(f"/dev/{name}").st_mode) for name in ("null", "full"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "null"]


def test_only_what_has_an_end_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "a.txt").touch()
    (tmp_path / "link.txt").symlink_to("a.txt")
    assert [regular_file(tmp_path / name).name for name in ("a.txt", "link.txt")] == ["a.txt", "link.txt"]
    for name in ("fifo", "zero"):
        with pytest.raises(OSError, match="it is no regular file") as caught:
            regular_file(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        regular_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        regular_file(tmp_path / "none")


def test_an_output_that_is_an_input_is_found_by_what_it_is(tmp_path: Path) -> None:
    folder, film = tmp_path / "in", tmp_path / "in" / "film.mp4"
    folder.mkdir()
    film.touch()
    (tmp_path / "link").symlink_to("in/film.mp4")
    (tmp_path / "ring").symlink_to("ring")
    os.link(film, tmp_path / "hard")
    for name in ("in/film.mp4", "link", "hard", "in/../in/film.mp4"):
        for source in (film, folder):
            said = clash([("--csv", tmp_path / name)], [("--model", tmp_path / "none"), ("--source", source)])
            assert said and said.startswith("--csv would write over what --source reads, ") and "\n" not in said
    assert clash([("--out", tmp_path / "link")], [("--source", tmp_path / "hard")])
    # A new file in a folder that is read, a folder within it, and what is only called alike.
    apart = [("--csv", folder / "new.csv"), ("--out", folder / "sub"), ("--json", tmp_path / "film.mp4"), ("--a", tmp_path / "ring")]  # fmt: skip
    (folder / "sub").mkdir()
    assert clash(apart, [("--source", film), ("--data", folder), ("--model", tmp_path / ("x" * 300))]) is None


def test_two_outputs_are_never_one(tmp_path: Path) -> None:
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "null").symlink_to(os.devnull)
    for name in ("a", "b", "../" + tmp_path.name + "/a"):
        said = clash([("--csv", tmp_path / "a"), ("--json", tmp_path / name)], [])
        assert said and said.startswith("--csv and --json name the same file twice")
    assert clash([("--csv", tmp_path / "null"), ("--json", Path(os.devnull))], []) is None

"""Files as a user means them: written whole or not at all, never over what is read, read only where they have an end.

Standard library only.
"""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

Named = tuple[str, Path]
"""An option or another name for the user, and the path that is meant by it."""


@contextmanager
def whole_file(path: Path, ending: str = "") -> Iterator[Path]:
    """A name with the same ending, for the block to write to; it becomes `path` when the block ends well. `ending` comes behind
    it, where others take every file of one ending in the folder, hidden or not.

    Readers see the old file or the new one, and of a block that fails nothing stays. What a killed process leaves is
    hidden (its name begins with a dot). Of a symbolic link the file behind it is replaced; what is no regular file (a
    device, a FIFO) is written to when the block has ended.

    Raises:
        OSError: the file cannot be written; names `path`, whatever the temporary file is called.
    """
    try:
        target = path if _is_special(path) else target_of(path)
        folder = Path(tempfile.gettempdir()) if target is path else target.parent
        temporary = folder / f".{os.getpid()}.part.{path.name}{ending}"
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        yield temporary
        if target is path:
            with temporary.open("rb") as whole, path.open("wb") as special:
                shutil.copyfileobj(whole, special)
        else:
            os.replace(temporary, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary), temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing can be removed either
            temporary.unlink(missing_ok=True)


def target_of(path: Path) -> Path:
    """The file that a name stands for, through all symbolic links; it need not be there. OSError for links in a ring."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def regular_file(path: Path) -> Path:
    """The path itself, where opening it neither waits nor goes on for ever: OSError when it is not there, or no file with
    an end but a device, a FIFO or a folder, through a symbolic link too."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        code, words = (
            (errno.EISDIR, "it is a folder") if stat.S_ISDIR(mode) else (errno.EINVAL, "it is no regular file")
        )
        raise OSError(code, f"{words}; expected a file", str(path))
    return path


def clash(outputs: Sequence[Named], inputs: Sequence[Named]) -> str | None:
    """One line on the first output that is an input or another output; None where all are apart.

    They are the same by what they are, not by their names: links, hard links and other ways to write a path count. An
    input that is a folder stands for every file in it. The null device takes everything.
    """
    for place, (name, path) in enumerate(outputs):
        mine = _identity(path)
        if mine == _identity(Path(os.devnull)):
            continue
        for other, its_path in outputs[:place]:
            if mine == _identity(its_path):
                return f"{other} and {name} name the same file twice, {path}: give each its own"
        for other, its_path in inputs:
            if mine == _identity(its_path) or (os.path.isfile(path) and mine in _files_in(its_path)):
                return f"{name} would write over what {other} reads, {path}: give {name} another name"
    return None


def lies_in(path: Path, folder: Path) -> bool:
    """Through links, too; neither needs to be there. A folder lies in itself."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _is_special(path: Path) -> bool:
    with suppress(OSError):
        mode = path.stat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


def _identity(path: Path) -> object:
    """Equal for two names of one file: device and inode, of what is not there yet the path without links."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return os.path.normcase(os.path.realpath(path))
    return found.st_dev, found.st_ino


def _files_in(folder: Path) -> Iterator[object]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield _identity(Path(parent, name))

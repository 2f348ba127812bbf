"""A file that appears under its name whole or not at all. Standard library only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path`, with the same ending, for the block to write to; it becomes `path` when the block ends well.

    Readers see the old file or the new one, and of a block that fails nothing stays. What a killed process leaves is
    hidden (its name begins with a dot).

    Raises:
        OSError: the file cannot be written; names `path`, whatever the temporary file is called.
    """
    temporary = path.with_name(f".{os.getpid()}.part.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary), temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing can be removed either
            temporary.unlink(missing_ok=True)

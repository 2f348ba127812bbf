"""`python run_live.py --report DIR`: the page of a session that did not make its own."""

from pathlib import Path

from rich.console import Console

from stream.session.folder import SessionFolder
from stream.session.report import write_report


def make_report(path: Path, console: Console) -> int:
    """The exit code; raises `SessionError` and `SinkError`."""
    with console.status("Making the report"):
        page = write_report(SessionFolder(path))
    console.print(f"Written: {page}", soft_wrap=True, markup=False)
    return 0

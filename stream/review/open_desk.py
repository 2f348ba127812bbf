"""`--review`: opens the desk on what is named, says where, and serves it until somebody ends it."""

import shutil
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import MicroliveError
from model.guards import shown
from stream.network_address import LOOPBACK, NetworkAddress
from stream.web.access import ServeSettings, open_listener

if TYPE_CHECKING:
    from rich.console import Console

    from stream.labels.reviewable import Reviewable

DEMO = "demo"
DEMO_FOLDER = Path(__file__).parent / "demo"
_DEMO_COPY = "microlive-demo"


class DeskError(MicroliveError, RuntimeError):
    """The desk cannot be opened: one line that says why."""


@dataclass(frozen=True)
class ReviewSettings:
    """`paths`: sessions, folders of sessions, videos, or "demo"; `coder` None: by the login name. `serve` None: any free
    port of this machine alone. `show`: open the page in the user's browser."""

    paths: tuple[str, ...]
    coder: str | None = None
    blind: bool = False
    serve: ServeSettings | None = None
    show: bool = False


def run_review(settings: ReviewSettings, console: "Console") -> int:
    """Serves until KeyboardInterrupt, which it passes on. Raises LabelError, SessionError, SinkError and DeskError."""
    # A live run, whose options these are too, loads none of it.
    import asyncio

    from stream.review.desk import Desk, usual_coder
    from stream.review.desk_server import DeskServer

    coder = settings.coder or usual_coder()
    found = [source for path in settings.paths for source in _sources(path, console)]
    # Named twice, it is still one.
    sources = list({source.events.resolve(): source for source in found}.values())
    serve = settings.serve or ServeSettings(NetworkAddress(LOOPBACK, 0))
    with Desk(sources, coder, settings.blind) as desk, open_listener(serve) as listener:
        blind = ", blind" if settings.blind else ""
        console.print(f"The desk of {coder}{blind}: {listener.url}", soft_wrap=True, markup=False, highlight=False)
        console.print("Ctrl-C ends it. Every action is kept when the page says so.", markup=False, highlight=False)
        if settings.show:
            webbrowser.open(listener.url)
        asyncio.run(DeskServer(desk, listener).run())
    return 0


def _sources(path: str, console: "Console") -> "list[Reviewable]":
    from stream.labels.reviewable import find_reviewables

    if path != DEMO:
        return find_reviewables([Path(path)])
    copy = Path(_DEMO_COPY)
    if not copy.exists():
        try:
            shutil.copytree(DEMO_FOLDER, copy)
        except OSError as error:
            why = error.strerror or error
            raise DeskError(f"the made example cannot be copied to {shown(str(copy))}: {why}") from error
        console.print(f"The made example is now in {copy}/, and your labels go there.", markup=False, highlight=False)
    return find_reviewables([copy])

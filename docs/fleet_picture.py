"""Makes the README's pictures of a fleet anew: `python -m docs.fleet_picture`. Cameras on the loopback that show the drawn
person of the demo; the board of tiles, and the page over all sessions, in headless Chromium."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stream.benchmark.camera import FaultServer, camera_pictures
from tests.helpers.browser import CHROMIUM, Tab, browser_tab

DOCS = Path(__file__).resolve().parent
_CAMERAS = ("door", "hall", "lab-1", "lab-2", "ward-7", "ward-8")
_GONE = "ward-8"
_RATE_HZ, _PICTURES = 15.0, 400
_RUNNING_S = 75.0
"""By then every camera has shown a whole round of the demo."""


@contextmanager
def _fleet(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and the address of its board."""
    pictures = camera_pictures(_PICTURES)
    with ExitStack() as stack:
        lines = ["sources:"]
        for place, name in enumerate(_CAMERAS):
            # Each camera is at another place of the round.
            server = FaultServer(lambda number, place=place: pictures[(number + 55 * place) % _PICTURES], 1 / _RATE_HZ)
            lines.append(f"  {name}: {stack.enter_context(server).url}")
            if name == _GONE:
                server.fault = "gone"
        (folder / "lab.yaml").write_text("\n".join(lines), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "stream.fleet",
            str(folder / "lab.yaml"),
            "--out",
            str(folder / "lab"),
            "--serve",
            "0",
        ]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        program = subprocess.Popen(command, cwd=DOCS.parent, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert program.stdout is not None
            yield program, next(found[1] for line in program.stdout if (found := re.search(r"Board: (\S+)", line)))
        finally:
            program.kill()
            program.wait()


async def fleet() -> None:
    """docs/board.png and docs/fleet.png."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with browser_tab() as tab:
            await tab.call("Emulation.setScrollbarsHidden", hidden=True)
            await tab.scheme("light")
            with _fleet(folder) as (program, url):
                await _board(tab, url)
                program.send_signal(signal.SIGINT)
                await asyncio.to_thread(program.communicate)
            await tab.size(1280, 1140)
            await tab.open((folder / "lab" / "index.html").as_uri())
            await tab.until("document.readyState === 'complete' && document.querySelector('table') !== null")
            await tab.screenshot(DOCS / "fleet.png")


async def _board(tab: Tab, url: str) -> None:
    await tab.size(1280, 760)
    await tab.open(url)
    await asyncio.sleep(_RUNNING_S)
    await tab.screenshot(DOCS / "board.png")


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit("Chromium is not installed: docs/board.png and docs/fleet.png are left as they are")
    asyncio.run(fleet())

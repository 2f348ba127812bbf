"""Makes the README's pictures of the coder's desk anew: `python -m docs.desk_picture`. The made example in headless Chromium."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.helpers.browser import CHROMIUM, browser_tab

DOCS = Path(__file__).resolve().parent
_SURPRISE = (
    "[...document.querySelectorAll('#events li[data-counts=true]')].find((row) => row.innerText.includes('surprise'))"
)
_LOADED = "document.querySelectorAll('#tiles canvas[data-empty]').length === 0"
_AT_APEX = """(() => {
  const handle = document.querySelector('[data-handle=apex_s]').getBoundingClientRect();
  const chart = document.querySelector('#chart canvas');
  chart.dispatchEvent(new PointerEvent('pointerdown', { clientX: handle.x + handle.width / 2, bubbles: true }));
})()"""


async def desk() -> None:
    """One picture in light and dark: docs/desk.png, docs/desk-dark.png."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(DOCS.parent / "run_live.py"), "--review", "demo", "--coder", "eva"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        program = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert program.stdout is not None
            url = next(found[1] for line in program.stdout if (found := re.search(r"The desk of \w+: (\S+)", line)))
            await _pictures(url)
        finally:
            program.terminate()
            program.wait(30)


async def _pictures(url: str) -> None:
    async with browser_tab() as tab:
        await tab.size(1280, 720)
        await tab.call("Emulation.setScrollbarsHidden", hidden=True)
        await tab.scheme("light")
        await tab.open(url)
        await tab.until("document.body?.dataset.open === '0'")
        await tab.run(f"{_SURPRISE}.click()")
        await tab.until(f"{_SURPRISE}.ariaSelected === 'true' && {_LOADED}")
        await tab.run(_AT_APEX)
        await tab.until("document.querySelector('#play').textContent === 'Play'")
        await tab.screenshot(DOCS / "desk.png")
        await tab.scheme("dark")
        await tab.screenshot(DOCS / "desk-dark.png")


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit("Chromium is not installed: docs/desk.png is left as it is")
    asyncio.run(desk())

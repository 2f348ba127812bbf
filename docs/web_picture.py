"""Makes the README's picture of the web view anew: `python -m docs.web_picture`. The demo in headless Chromium."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.helpers.browser import CHROMIUM, browser_tab

DOCS = Path(__file__).resolve().parent
AT_S = 9.1
"""By then the demo's second micro-expression has been decided, and is still shown."""
_MARKS = ((3.9, b'{"mark": "stimulus 1"}'), (7.2, b'{"mark": "stimulus 2"}'))
"""As an experiment would send them, so long after the demo's start."""
_CLOCK = "Number(document.querySelector('#clock')?.textContent.match(/at ([0-9.]+) s/)?.[1] ?? 0)"


async def web_view() -> None:
    """One picture in light and dark: docs/web.png, docs/web-dark.png."""
    with tempfile.TemporaryDirectory() as name, socket.socket(type=socket.SOCK_DGRAM) as experiment:
        experiment.bind(("127.0.0.1", 0))
        await _pictures(Path(name), experiment)


async def _pictures(folder: Path, experiment: socket.socket) -> None:
    async with browser_tab() as tab:
        await tab.size(1280, 1000)
        await tab.call("Emulation.setScrollbarsHidden", hidden=True)
        command = [sys.executable, "run_live.py", "--source", "demo", "--headless", "--serve", "0",
                   "--marker-port", "0", "--markers", str(folder / "marks.jsonl")]  # fmt: skip
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        program = subprocess.Popen(command, cwd=DOCS.parent, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert program.stdout is not None
            url = next(found[1] for line in program.stdout if (found := re.search(r"Web view: (\S+)", line)))
            port = next(
                found[1] for line in program.stdout if (found := re.search(r"Marker port: UDP \S+:(\d+)", line))
            )
            marks = list(_MARKS)
            await tab.scheme("light")
            await tab.open(url)
            while (now_s := await tab.run(_CLOCK)) < AT_S:
                if marks and now_s >= marks[0][0]:
                    experiment.sendto(marks.pop(0)[1], ("127.0.0.1", int(port)))
                if program.poll() is not None:
                    sys.exit("the demo ended before its picture was made")
                await asyncio.sleep(0.05)
            await tab.screenshot(DOCS / "web.png", whole=True)
            await tab.scheme("dark")
            await tab.screenshot(DOCS / "web-dark.png", whole=True)
        finally:
            program.terminate()
            program.wait(30)


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit("Chromium is not installed: docs/web.png is left as it is")
    asyncio.run(web_view())

"""The documentation site: it builds without a warning, and a browser shows it, API and pictures included."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import microlive
from tests.helpers.browser import CHROMIUM, browser_tab
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_public_name_is_in_the_api_reference(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    missing = [name for name in microlive.__all__ if f'id="microlive.{name}"' not in page and name != "__version__"]
    assert missing == []


def test_the_readmes_chapters_are_pages_and_their_pictures_are_there(site: Path) -> None:
    chapters = sorted(path.stem for path in (site / "readme").glob("*.html"))
    headings = [
        line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("## ")
    ]
    assert len(chapters) == len(headings) >= 8
    assert (site / "overlay.png").exists() and 'src="overlay.png"' in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_shows_it_and_asks_nobody_else(site: Path, tmp_path: Path) -> None:
    async def look() -> None:
        async with browser_tab() as tab:
            await tab.size(1280, 900)
            await tab.open((site / "index.html").as_uri())
            await tab.until("document.readyState === 'complete'")
            assert "Microlive" in await tab.run("document.querySelector('h1').textContent")
            assert await tab.run("[...document.images].every(image => image.naturalWidth > 0)")
            await tab.screenshot(tmp_path / "index.png")
            await tab.open((site / "api.html").as_uri())
            await tab.until("document.readyState === 'complete' && !!document.getElementById('microlive.Recognizer')")
            assert [url for url in tab.requests if url.startswith("http")] == []

    asyncio.run(look())
    assert (tmp_path / "index.png").stat().st_size > 20_000

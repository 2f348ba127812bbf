"""A hook of MkDocs: makes pages of the README's chapters, CONTRIBUTING, CHANGELOG and the examples when the site is built.

They are written for the repository, where links start at its root; in the site they start at `docs/`. A chapter of the
README is what stands under a heading of the second level; the front page is what stands before the first.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(!?\[[^\]]*\]\()(?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?(\))")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages to the files that lie under `docs/`."""
    for name, text in _pages():
        files.append(File.generated(config, name, content=_linked(text, name)))
    return files


def _pages() -> Iterator[tuple[str, str]]:
    """Each page's place in the site and its text, with links as in the repository's root."""
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    parts = _HEADING.split(readme)
    yield "index.md", parts[0]
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        # A page starts at the first level: everything in the chapter moves up by one.
        raised = re.sub(r"^#(#+ )", r"\1", text, flags=re.MULTILINE)
        yield f"readme/{_slug(title)}.md", f"# {title}\n{raised}"
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        yield name, (_ROOT / name).read_text(encoding="utf-8")
    yield "examples.md", "\n".join(_examples())


def _examples() -> Iterator[str]:
    yield "# Examples\n\nEach is run by a test. They lie in `examples/`.\n"
    for path in sorted((_ROOT / "examples").glob("*.py")):
        yield f"## {path.stem.replace('_', ' ').capitalize()}\n\n```python\n{path.read_text(encoding='utf-8')}```\n"


def _slug(title: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", title.lower()))


def _linked(text: str, page: str) -> str:
    """The text with its links as seen from a page of the site; what is no part of the site is named, not linked."""

    def moved(found: re.Match[str]) -> str:
        before, target, anchor, after = found[1], found[2], found[3] or "", found[4]
        inside = target.removeprefix("docs/")
        if not (target.startswith("docs/") or target in ("CONTRIBUTING.md", "CHANGELOG.md")):
            return f"{before[1:-2]} (`{target}`)"
        return f"{before}{posixpath.relpath(inside, posixpath.dirname(page) or '.')}{anchor}{after}"

    return _LINK.sub(moved, text)

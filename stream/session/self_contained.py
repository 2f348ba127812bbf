"""Pages in one file: with their style, their script and their pictures, and a policy that lets nothing else in."""

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from model.guards import shown

_SHARED = Path(__file__).resolve().parent / "templates" / "page.css"


def self_contained_page(templates: Path, name: str, context: Mapping[str, Any]) -> str:
    """The page of the template NAME.html, which gets NAME.css, behind what all pages share, as `style`, NAME.js as `script` and
    the hash for its policy as `script_digest`. Everything from the context is escaped: names and notes come from outside."""
    style = Markup("".join(sheet.read_text(encoding="utf-8") for sheet in (_SHARED, templates / f"{name}.css")))
    script = (templates / f"{name}.js").read_text(encoding="utf-8")
    # The page's own script and no other one: its hash is in the policy.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment(templates).get_template(f"{name}.html")
    return page.render(context, style=style, script=Markup(script), script_digest=Markup(digest))


@lru_cache(maxsize=8)
def _environment(templates: Path) -> jinja2.Environment:
    """Keeps templates compiled, which takes longer than to fill one in."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: shown(value, lines=True) if type(value) is str else value,
    )

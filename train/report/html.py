"""A report's page out of its template, and what comes of making one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from train.report.text import score_text

PAGE = "report.html"
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Report:
    """What was written, and what a reader of the page is told first."""

    page: Path
    pictures: tuple[Path, ...]
    notices: tuple[str, ...]


def rendered(template: str, context: Mapping[str, Any], filters: Mapping[str, Callable[..., str]]) -> str:
    """The page. Everything from runs is escaped: names of clips and people come from files."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": score_text,
        "capitalise": lambda text: text[:1].upper() + text[1:],
        **filters,
    }
    style = Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return environment.get_template(template).render(context, style=style)

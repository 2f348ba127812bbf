"""The terminal of every program here: whatever is printed, nothing in it is an order to the terminal."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from model.guards import shown


class CleanConsole(Console):
    """A console in whose texts control characters are question marks, for texts come from models, files and sheets of
    others; its own colours and cursor moves stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            clean = segment.text if segment.control else shown(segment.text, lines=True)
            yield segment if clean == segment.text else Segment(clean, segment.style)

"""A report's pictures: each drawn for light and dark pages, the light one also written beside the page."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from train.report_theme import DARK, LIGHT, PIXELS_A_POINT, Draw, data_uri, png
from train.rundir import write_with


@dataclass(frozen=True)
class Picture:
    """A drawing as data URIs, with its size on the page, what it says to those who do not see it, and a caption."""

    light: str
    dark: str
    width_px: int
    height_px: int
    alt: str
    caption: str


class PictureBook:
    """Draws pictures and writes them as PNG into a folder; no two get the same file name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Path] = []

    def path(self, name: str) -> Path:
        """A new file for a picture: `name` may come from data, so only plain letters of it are used."""
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "picture"
        taken, number, free = {file.stem for file in self.files}, 2, slug
        while free in taken:
            free, number = f"{slug}-{number}", number + 1
        self.files.append(self._folder / f"{free}.png")
        return self.files[-1]

    def add(self, name: str, draw: Draw, alt: str, caption: str = "") -> Picture:
        """Draws a picture twice and writes it. `alt` says in words what it shows."""
        light, dark = png(draw(LIGHT)), png(draw(DARK))
        write_with(self.path(name), lambda temporary: temporary.write_bytes(light))
        width, height = struct.unpack(">II", light[16:24])  # of the PNG's header
        size = (round(width / PIXELS_A_POINT), round(height / PIXELS_A_POINT))
        return Picture(data_uri(light, "png"), data_uri(dark, "png"), *size, alt, caption)

"""The demo as a video file, 512×512, so that the benchmark decodes as users' files are decoded."""

from pathlib import Path

import cv2

from stream.sources.demo import DemoSource


def demo_file(folder: Path) -> Path:
    """Renders the demo into `folder` once; the path of the mp4."""
    path = folder / "demo.mp4"
    with DemoSource("fast") as source:
        info = source.info
        size_px = (info.width_px, info.height_px)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), info.fps, size_px)
        for frame in source:
            writer.write(frame.image)
        writer.release()
    return path

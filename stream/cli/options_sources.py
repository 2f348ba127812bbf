"""The options of cameras and streams."""

import argparse
import re

from stream.cli.option_types import not_negative_number
from stream.sources.base import CameraSettings, LiveSettings

_MAX_SIZE_PX = 16384
_USUAL = LiveSettings()


def add_group(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cameras and streams")
    group.add_argument(
        "--size", type=_size, metavar="WxH", help="ask the camera for pictures of this size, e.g. 1280x720"
    )
    group.add_argument("--fps", type=_fps, metavar="N", help="ask the camera for so many frames a second")
    group.add_argument(
        "--backend",
        metavar="NAME",
        help="what OpenCV reads the camera with, e.g. v4l2; a name that is not there lists those that are (default: auto)",
    )
    group.add_argument(
        "--open-timeout",
        type=_seconds,
        metavar="S",
        help=f"until a camera or stream gives its first picture (default: {_USUAL.open_timeout_s:g})",
    )
    group.add_argument(
        "--read-timeout",
        type=_seconds,
        metavar="S",
        help=f"without a picture for so long, it is opened again (default: {_USUAL.read_timeout_s:g})",
    )
    group.add_argument(
        "--retry-for",
        type=not_negative_number,
        metavar="S",
        help="a camera or stream that is lost is opened again for so long, then the run ends with an error (default: for "
        "ever; 0: the end of a stream is the end of the run)",
    )
    group.add_argument(
        "--wait",
        action="store_true",
        help="wait for a camera or stream that is not there at the start, instead of ending",
    )


def read(given: argparse.Namespace, parser: argparse.ArgumentParser, source: int | str) -> LiveSettings:
    """Ends with a usage error where options do not go together."""
    is_camera, is_stream = isinstance(source, int), isinstance(source, str) and "://" in source
    for_cameras = {"--size": given.size, "--fps": given.fps, "--backend": given.backend}
    for_live = {
        "--open-timeout": given.open_timeout,
        "--read-timeout": given.read_timeout,
        "--retry-for": given.retry_for,
        "--wait": given.wait or None,
    }
    for name, value in for_cameras.items():
        if value is not None and not is_camera:
            parser.error(f"{name} is for cameras: use it with --camera N")
    for name, value in for_live.items():
        if value is not None and not (is_camera or is_stream):
            parser.error(f"{name} is for cameras and streams, not for files")
    return LiveSettings(
        open_timeout_s=given.open_timeout or _USUAL.open_timeout_s,
        read_timeout_s=given.read_timeout or _USUAL.read_timeout_s,
        retry_for_s=given.retry_for,
        wait=given.wait,
        camera=CameraSettings(given.size, given.fps, _backend(given.backend, parser)),
    )


def _backend(name: str | None, parser: argparse.ArgumentParser) -> str:
    if name is None or name == "auto":
        return "auto"
    # OpenCV is loaded only to look a name up.
    from stream.sources.opencv_reader import camera_backends

    if name.lower() not in camera_backends():
        parser.error(f"--backend: expected auto or one of {', '.join(camera_backends())}, found {name!r}")
    return name.lower()


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text)
    size_px = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(1 <= side <= _MAX_SIZE_PX for side in size_px):
        raise argparse.ArgumentTypeError(f"expected a width and a height such as 640x480, found {text!r}")
    return size_px


def _fps(text: str) -> float:
    value = not_negative_number(text)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"expected more than 0 and up to 1000 frames a second, found {text}")
    return value


def _seconds(text: str) -> float:
    value = not_negative_number(text)
    if not 0.05 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"expected 0.05 to 3600 seconds, found {text}")
    return value

"""What commands share: the flags of augmentation, of those that train with it or show it, --fps, and how --json is obeyed."""

import argparse
import json
from pathlib import Path
from typing import Any, NoReturn

from train.errors import UsageError
from train.files import write_text


def add_augmentation_flags(group: Any) -> None:
    """Flags named as `TrainConfig`'s fields, absent from the namespace unless given."""
    group.add_argument("--flip", action=argparse.BooleanOptionalAction, help="mirror half of the clips (yes)")
    for flag, metavar, text in (
        ("--rotate", "DEG", "turn by up to ± DEG degrees"),
        ("--zoom", "SHARE", "enlarge by 1 ± SHARE"),
        ("--shift", "SHARE", "move by up to ± SHARE of the frame's side, across and down"),
        (
            "--time-jitter",
            "SHARE",
            "play 1 ± SHARE times as fast, and start up to ± SHARE/2 of the clip earlier or later",
        ),
    ):
        group.add_argument(flag, type=float, metavar=metavar, help=f"{text} (off)")
    group.add_argument(
        "--magnify",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="amplify the motion by a factor between these; 0.85 1.15 varies its size, 1 3 enlarges (off)",
    )
    for flag, metavar, text in (
        ("--brightness", "SHARE", "pixels only: brighter or darker by up to SHARE of black to white"),
        ("--contrast", "SHARE", "pixels only: contrast 1 ± SHARE"),
        ("--noise", "SD", "Gaussian noise, in units of the scaled input"),
    ):
        group.add_argument(flag, type=float, metavar=metavar, help=f"{text} (off)")
    group.add_argument("--gain", type=_gone, help=argparse.SUPPRESS)


def _gone(text: str) -> NoReturn:
    try:
        gain = float(text)
    except ValueError:
        gain = 0.15
    raise argparse.ArgumentTypeError(f"is now --magnify {1 - gain:g} {1 + gain:g}, and for pixels --contrast {gain:g}")


def add_filmed_fps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fps",
        type=float,
        metavar="N",
        help="folder: filmed at N frames a second, whatever rate its videos are stored at (a sheet's column fps goes first)",
    )


def read_filmed_fps(args: argparse.Namespace) -> float | None:
    if args.fps is None:
        return None
    if args.dataset != "folder":
        raise UsageError(f"--fps: {args.dataset} has its own frame rate; it is for --dataset folder")
    if not 0 < args.fps < float("inf"):
        raise UsageError(f"--fps: expected a number above 0, found {args.fps:g}")
    return args.fps


def require_places(*files: Path | None) -> None:
    """Raises UsageError unless each file's folder is there; - is standard output."""
    for path in files:
        if path and str(path) != "-" and not path.parent.is_dir():
            raise UsageError(f"{path}: expected an existing folder to write into, found none")


def write_json(facts: Any, path: Path | None) -> bool:
    """Writes what --json asks for, if it does; True where that was standard output, so that nothing else may be said there."""
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    if path and str(path) != "-":
        write_text(path, text)
    if str(path) == "-":
        print(text, end="")
    return str(path) == "-"

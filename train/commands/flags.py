"""What commands share: flags of augmentation, --fps, what may be written where, and how --json is obeyed."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from model.atomic import Named, clash, lies_in
from stream.engine.model_file import BUNDLED_MODEL
from train.clips.store import CLIPS_FILE, MANIFEST_FILE, RECORDS_FILE
from train.datasets.class_maps import ClassCount, ClassMap, Contempt, OneSided12
from train.errors import UsageError
from train.files import RunDir, write_text
from train.fit_config import TrainConfig
from train.loso.run_folder import LosoDir


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
        ("--flow-gains", "SD", "flow only: u and v times exp(N(0, SD)), each; strain follows here and below"),
        ("--flow-noise", "SHARE", "flow only: smooth noise of up to SHARE of a frame's root mean square"),
        ("--flow-cutout", "P", "flow only: with probability P, no motion at a random place"),
        ("--flow-elastic", "SHARE", "flow only: warp by smooth displacements, their sd SHARE of the side"),
    ):
        group.add_argument(flag, type=float, metavar=metavar, help=f"{text} (off)")
    group.add_argument("--gain", type=_gone, help=argparse.SUPPRESS)


def _gone(text: str) -> NoReturn:
    try:
        gain = float(text)
    except ValueError:
        gain = 0.15
    raise argparse.ArgumentTypeError(f"is now --magnify {1 - gain:g} {1 + gain:g}, and for pixels --contrast {gain:g}")


_WRITTEN = ("json", "chart", "failures", "markdown")
_FOLDERS = ("out", "events_dir", "write")
_READ = ("data", "root", "annotation", "model", "config", "spec", "test", "faces", "videos", "made", "generator", "pretrain", "base", "reviews", "subjects", "path", "against", "fields")  # fmt: skip
_PARTS = {path.name for folder in (RunDir("run"), LosoDir("run")) for path in vars(folder).values()} - {"run"} | {
    MANIFEST_FILE, RECORDS_FILE, CLIPS_FILE, "model.onnx", "model.stream.onnx", "parity.json", "features",
}  # fmt: skip
"""What is read of a clip store or a run; whatever else lies in its folder may be written anew."""


def require_apart(args: argparse.Namespace, config: TrainConfig | None = None) -> None:
    """Raises UsageError where a command would write over what it reads, or write one file twice. `config`: where a file of
    settings says more about that than the flags."""
    told = {name: value for name, value in vars(args).items() if value} | (
        {} if config is None else {"data": config.data, "out": config.out}
    )
    written, folders = _named(told, _WRITTEN), _named(told, _FOLDERS)
    for name, path in list(folders):
        if path.suffix.lower() == ".png":  # a picture
            folders.remove((name, path))
            written.append((name, path))
    written += [(name, path.with_stem(f"{path.stem}-curve")) for name, path in written if name == "--chart"]
    given = _named(told, _READ)
    read = [(name, part) for name, path in given for part in _parts(path)]
    if "model" in vars(args) and not args.model:
        read.append(("--model", BUNDLED_MODEL))
    inside = [(name, path / part) for name, path in folders for part in sorted(_PARTS)]
    said = clash(written, read) or clash([*inside, *written], [])
    for name, path in folders:
        said = said or clash([(name, path)], read)
        for other, source in given if told.get("overwrite") and told.get("replaces") else ():
            if lies_in(source, path):
                said = said or f"{name} {path} would be replaced with {other} {source} in it: choose another folder"
    if said is not None:
        raise UsageError(said)


def _named(told: Mapping[str, Any], names: Sequence[str]) -> list[Named]:
    """The paths that are given for these options, with the option as a user writes it."""
    found: list[Named] = []
    for name in names:
        shown = {"path": "RUN", "base": "--from", "spec": "SPEC", "fields": "FIELDS.npz"}.get(
            name, f"--{name.replace('_', '-')}"
        )
        values = told.get(name) or ()
        for value in [values] if isinstance(values, str | Path) else values if isinstance(values, Sequence) else ():
            if str(value) != "-":
                found.append((shown, Path(value)))
    return found


def _parts(path: Path) -> list[Path]:
    """The files and folders that are read where a path is given."""
    ours = [path / name for name in sorted(_PARTS) if (path / name).exists()]
    beside = {".onnx": f"{path.stem}.stream.onnx", ".keras": "contract.json"}.get(path.suffix)
    return ours or [path, *([path.with_name(beside)] if beside else [])]


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


def add_max_frames(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-frames",
        type=int,
        metavar="N",
        help="long videos: leave out micro-expressions of more than N frames, which every result states (keep all)",
    )


def read_coder(args: argparse.Namespace) -> str | None:
    if args.coder is not None and args.dataset != "sessions":
        raise UsageError(f"--coder: {args.dataset} has no coders' labels; it is for --dataset sessions")
    return args.coder


def add_class_map_flags(parser: argparse.ArgumentParser) -> None:
    """Of datasets whose annotations name emotions; what is chosen is stated in every result."""
    usual = ClassMap()
    group = parser.add_argument_group("classes", "which emotion is which class; stated in every result")
    group.add_argument(
        "--label-map",
        type=int,
        choices=get_args(ClassCount),
        default=usual.classes,
        help="3: negative, positive, surprise; 4: others as well; 7: anger, contempt, disgust, fear, happiness, sadness, surprise "
        "(default %(default)s)",
    )
    group.add_argument(
        "--contempt",
        choices=get_args(Contempt),
        default=usual.contempt,
        help="with 3 or 4: contempt is negative, as in MEGC2019, or in no class (default %(default)s)",
    )
    group.add_argument(
        "--one-sided-12",
        choices=get_args(OneSided12),
        default=usual.one_sided_12,
        help="what a clip shows whose only action unit is a 12 of one side: CASME II and SAMM call it happiness, DFME contempt "
        "(default: what is %(default)s)",
    )


def read_class_map(args: argparse.Namespace) -> ClassMap:
    return ClassMap(args.label_map, args.contempt, args.one_sided_12)


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

"""`python -m train augment`: a picture of what augmentation does to clips."""

import argparse
from pathlib import Path
from typing import Any, get_args

from rich.markup import escape
from rich.table import Table

from model.console import CleanConsole
from model.contract import InputKind
from train.clips.samples import open_stores, run_contract
from train.clips.sheets import Example, choose_clips, contact_sheet, example
from train.commands.flags import add_augmentation_flags, require_places
from train.config_file import config_from, read_config_file
from train.errors import UsageError
from train.fit_config import TrainConfig
from train.progress import clip_progress

_SHOWN = {"rotate": 5.0, "zoom": 0.05, "shift": 0.03, "time_jitter": 0.1, "magnify": (1.0, 2.0)}
_SHOWN_OF_PIXELS = {"brightness": 0.1, "contrast": 0.2}
_MOST = 32

_EPILOG = """examples:
  python -m train augment --data data/prepared --out augmented.png
      a bit of everything
  python -m train augment --data data/prepared --out augmented.png --rotate 10 --magnify 1 3 --no-flip --clips 8
      what fit would do with these flags
  python -m train augment --data data/prepared --out augmented.png --config runs/flow/config.yaml
      what a run did

Of every clip a row as it is and a row for each draw: the first frame, the apex, the last frame, and with input flow or
difference what the network sees at the apex. One transform is drawn for a clip and applied to all its frames, as fit
draws it in its first epochs with this seed. Left and right action units swap when a clip is mirrored."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "augment",
        help="look at what augmentation does to clips",
        description="Draw a few clips before and after augmentation.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--data", required=True, metavar="DIR", help="clip store")
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="the picture")
    parser.add_argument("--clips", type=int, default=4, metavar="N", help="how many clips, of all classes in turn (4)")
    parser.add_argument("--draws", type=int, default=2, metavar="N", help="how many epochs' draws of each clip (2)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings of a run; flags override them")
    parser.add_argument("--input", choices=get_args(InputKind), help="what the network sees (flow)")
    parser.add_argument("--size-px", type=int, metavar="PX", help="side of the network's frames (64)")
    parser.add_argument("--seed", type=int, help="of the draws (0)")
    add_augmentation_flags(parser.add_argument_group("augmentation"))
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    console = CleanConsole(stderr=True)
    _check_paths(args)
    config, demonstrates = _settings(args)
    (store,) = open_stores(config.data)
    contract = run_contract(config, (store,))
    rows = choose_clips(store, args.clips)
    found: list[Example] = []
    with clip_progress(console, "clips", len(rows)) as advance:
        for row in rows:
            found.append(example(store, row, config, contract, args.draws))
            advance(1)
    contact_sheet([line for shown in found for line in shown.rows], args.out)
    CleanConsole().print(_table(found))
    if demonstrates:
        settings = " ".join(_flag(name, value) for name, value in demonstrates.items())
        console.print(f"shown with {settings}; fit on its own only mirrors", highlight=False, soft_wrap=True)
    console.print(
        f"in {args.out}: every clip as it is, then as training sees it", highlight=False, soft_wrap=True, markup=False
    )
    return 0


def _check_paths(args: argparse.Namespace) -> None:
    for flag, value in (("--clips", args.clips), ("--draws", args.draws)):
        if not 1 <= value <= _MOST:
            raise UsageError(f"{flag}: expected 1 to {_MOST}, found {value}")
    if args.out.suffix.lower() != ".png":
        raise UsageError(f"--out: expected a name ending in .png, found {args.out.name!r}")
    require_places(args.out)


def _settings(args: argparse.Namespace) -> tuple[TrainConfig, dict[str, Any]]:
    """The config, and the settings shown because neither flags nor a file gave any."""
    ours = ("data", "out")
    known = TrainConfig.__dataclass_fields__
    given = {name: value for name, value in vars(args).items() if name in known and name not in ours}
    file = getattr(args, "config", None)
    values: dict[str, Any] = (read_config_file(file) if file else {}) | given
    demonstrates: dict[str, Any] = {}
    if not file and not set(given) - {"input", "size_px", "seed"}:
        demonstrates = _SHOWN | (_SHOWN_OF_PIXELS if given.get("input") == "pixels" else {})
    return config_from(values | demonstrates | {"data": [args.data], "out": str(args.out)}), demonstrates


def _flag(name: str, value: float | tuple[float, ...]) -> str:
    numbers = value if isinstance(value, tuple) else (value,)
    return " ".join([f"--{name.replace('_', '-')}", *(f"{number:g}" for number in numbers)])


def _table(found: list[Example]) -> Table:
    table = Table("clip", "class", "subject", "action units", "transform")
    for shown in found:
        record = shown.record
        for words, augmented in shown.draws:
            before, after = ("+".join(r.action_units) for r in (record, augmented))
            units = before if before == after else f"{before} → {after}"
            table.add_row(*map(escape, (record.id, record.label, record.subject, units, words)))
    return table

"""`python -m train transfer`: what carries over of the generator's motion to published flow pictures."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from model.console import CleanConsole
from model.quiet import native_log_held_back
from train.commands.flags import require_places, write_json
from train.errors import UsageError
from train.progress import clip_progress
from train.text_table import TextTable, spread_text

_EPILOG = """examples:
  python -m train transfer pictures.npz
      three networks, each trained on 6,000 drawn pictures, asked about those of the file
  python -m train transfer pictures.npz --faces photos --seeds 5 --json transfer.json
  python -m train transfer pictures.npz --eyes 0.5 0.3
      pictures in which the eyes lie half the side apart, and three tenths of it from the top

The file is NumPy's .npz, with uvs uint8 (n, 28, 28, 3), the optical flow from onset to apex of n clips as u, v and strain,
each stretched to 0-255 by itself; label (n,), 0 negative, 1 positive, 2 surprise; and dataset (n,) names, if you have them:
casme2, smic and samm say where the eyes lie. The classifier is that of STSTNet (Liong et al., FG 2019; 1,715 parameters)
and sees none of these pictures before it is asked. One UF1 on 200 pictures has a standard error of about .035.
Settings that were chosen by this number must be reported on other people's pictures."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "transfer",
        help="what carries over of the generator's motion to published flow pictures of real micro-expressions",
        description="Train a small classifier on the generator's flow pictures alone, and ask it about real ones.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("fields", type=Path, metavar="FIELDS.npz", help="flow pictures of real clips, as said below")
    parser.add_argument(
        "--faces",
        default="drawn:8",
        metavar="PHOTOS",
        help="whose landmarks the drawn expressions have: a folder of portraits, or drawn:N faces (drawn:8)",
    )
    parser.add_argument(
        "--eyes",
        type=float,
        nargs=2,
        metavar=("APART", "HEIGHT"),
        help="of all pictures: distance of the eyes and their height from the top, shares of the side",
    )
    parser.add_argument(
        "--company",
        default="",
        metavar="PART=N,…",
        help="what goes with the expressions beside their units, as for train synth --company",
    )
    parser.add_argument("--pictures", type=int, default=6000, metavar="N", help="drawn for each network (6000)")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="the last half's weights are averaged (10)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="networks, each with pictures of its own (3)")
    parser.add_argument("--seed", type=int, default=1, help="the first (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything to this file (-: print it)")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    require_places(args.json)
    if args.eyes is not None and not (0 < args.eyes[0] <= 1 and 0 <= args.eyes[1] <= 1):
        raise UsageError(f"--eyes: expected shares of the side, 0 to 1, found {args.eyes[0]:g} {args.eyes[1]:g}")
    from train.transfer.flow_pictures import read_flow_pictures

    real = read_flow_pictures(args.fields, tuple(args.eyes) if args.eyes else None)
    with native_log_held_back():
        from train.synth.clip import ClipSettings
        from train.synth.company import CompanySettings
        from train.synth.fresh_clips import load_portraits
        from train.transfer.shallow_transfer import TransferSettings, transfer
    settings = TransferSettings(args.pictures, args.epochs, args.seeds, args.seed)
    try:
        clips = ClipSettings(company=CompanySettings.from_text(args.company))
    except ValueError as error:
        raise UsageError(f"--{error}") from error
    console = CleanConsole(stderr=True)
    faces = load_portraits(args.faces)
    with clip_progress(console, "learning", settings.seeds * (settings.epochs + 1)) as advance:
        report = transfer(real, faces, settings, clips, advance)
    report["command"] = shlex.join(["python", "-m", "train", *args.argv])
    if not write_json(report, args.json):
        CleanConsole().print(_table(report).shown())
    return 0


def _table(report: dict[str, Any]) -> TextTable:
    chance = f"chance UF1 {report['chance_uf1']:.3f}; mean ± standard deviation over seeds"
    rows = [
        (
            "all",
            str(report["n"]),
            spread_text(report["uf1"]),
            spread_text(report["uar"]),
            *(spread_text(report["recall"][name]) for name in report["classes"]),
        ),
        *((name, str(part["n"]), spread_text(part["uf1"])) for name, part in report["by_dataset"].items()),
    ]
    headings = ("pictures", "n", "UF1", "UAR", *(f"recall {name}" for name in report["classes"]))
    return TextTable("What carries over to real motion", headings, rows, chance)

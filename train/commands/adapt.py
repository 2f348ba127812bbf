"""`python -m train adapt`: a model goes on learning from few clips, and is scored against what it was before."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model.console import CleanConsole
from train.adapt.adapt import AdaptSettings, adapt
from train.adapt.adapt_job import AdaptRecipe
from train.adapt.before_after import LEAST_CLIPS, LEAST_PEOPLE
from train.commands.fit import class_weights, names_list
from train.commands.flags import add_augmentation_flags, require_places, write_json
from train.errors import UsageError
from train.files import RunDir
from train.fit_config import TrainConfig

_EPILOG = f"""examples:
  python -m train prepare --dataset sessions --root sessions --out data/ours       what was reviewed (microlive --review)
  python -m train adapt --data data/ours --from bundled --out runs/ours
  python -m train adapt --data data/ours --from runs/mine --all-epochs 0 --out runs/ours   the head of another run alone
  python -m export runs/ours --out exported

Everybody is left out once: a network that goes on from --from learns from the others and answers the one who was left out. A part
of the others is held back to choose the epoch on; epoch 0, the model as it was, is among those to choose from. First the head
learns (from what was seen to the classes), then all layers with a small rate. The input's scaling stays. In the end a network is
trained on everybody for as many epochs as were best in the folds (their median); where that is none, no model is written.
Before and after stand side by side with a 95 % interval of the difference (people drawn again). With fewer than {LEAST_PEOPLE} people or
{LEAST_CLIPS} clips of any class nothing is said of it, and that is said.
A killed run goes on when the same command is given again; the folds in hand are lost, no others."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "adapt",
        help="let a model go on learning from few clips",
        description="Adapt a model to few clips, scored by leave-one-person-out against the model before.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    recipe = AdaptRecipe()
    add = parser.add_argument
    add("--data", nargs="+", required=True, metavar="STORE", help="clip stores (made by `python -m train prepare`)")
    add(
        "--from", dest="base", required=True, metavar="MODEL", help="bundled, a run's folder, or an exported model.onnx"
    )
    add("--out", required=True, metavar="RUN", help="folder of the run")
    add(
        "--head-epochs",
        type=int,
        default=recipe.head_epochs,
        metavar="N",
        help="of the head at most (default %(default)s)",
    )
    add(
        "--all-epochs",
        type=int,
        default=recipe.all_epochs,
        metavar="N",
        help="then of all layers at most (default %(default)s)",
    )
    add("--learning-rate", type=float, default=1e-3, metavar="R", help="of the head (default %(default)s)")
    add(
        "--all-learning-rate",
        type=float,
        default=recipe.all_learning_rate,
        metavar="R",
        help="of all layers (default %(default)s)",
    )
    add("--batch", type=int, metavar="N", help="clips a step (8)")
    add(
        "--class-weights", type=class_weights, metavar="KIND", help="balanced, none, or numbers, one a class (balanced)"
    )
    add(
        "--validation-share",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="of a fold's training people, to choose the epoch on (default %(default)s)",
    )
    add("--exclude-people", type=names_list, metavar="A,B", help="neither trained on nor tested")
    add("--seed", type=int, metavar="N", help="the same seed gives the same run (0)")
    add("--jobs", type=int, default=0, metavar="N", help="folds at a time (as cores and --threads allow; 1 with a GPU)")
    add(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="of TensorFlow in each fold; part of what a run is (default %(default)s)",
    )
    add("--workers", type=int, metavar="N", help="processes that prepare clips (one a core, at most 8)")
    add("--cache-dir", metavar="DIR", help="where prepared clips are kept (STORE/features, else RUN/features)")
    add("--overwrite", action="store_true", default=False, help="replace a run that is in --out already")
    add(
        "--json",
        type=Path,
        default=None,
        metavar="FILE",
        help="also write the scores to this file; - for standard output",
    )
    add_augmentation_flags(
        parser.add_argument_group("augmentation", "of training clips, drawn anew for each clip in each epoch")
    )
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    require_places(args.json)
    if args.jobs < 0:
        raise UsageError(f"jobs: expected 1 or more, found {args.jobs}")
    if args.threads < 1:
        raise UsageError(f"threads: expected 1 or more, found {args.threads}")
    console, command = CleanConsole(stderr=True), shlex.join(["python", "-m", "train", *args.argv])
    training = {"class_weights": "balanced"} | {
        name: value
        for name, value in vars(args).items()
        if name in TrainConfig.__dataclass_fields__ and name not in ("data", "out", "threads")
    }
    settings = AdaptSettings(
        data=tuple(args.data),
        out=args.out,
        base=args.base,
        recipe=AdaptRecipe(args.head_epochs, args.all_epochs, args.all_learning_rate),
        training=training,
        threads=args.threads,
    )
    try:
        metrics = adapt(settings, console, args.jobs, args.overwrite, command)
    except KeyboardInterrupt:
        again = "finished folds are kept: give the same command again to go on"
        begun = RunDir(args.out).config.is_file()
        console.print(f"\nstopped; {again if begun else 'nothing was trained yet'}", highlight=False, soft_wrap=True)
        return 130
    if not write_json(metrics, args.json):
        _print(metrics, args.out, CleanConsole())
    return 0


def _print(metrics: Mapping[str, Any], out: str, console: Console) -> None:
    before = metrics["before"]
    table = Table(title="Leave one person out: the model before, and adapted to the others", show_footer=True)
    table.add_column("class", footer="together")
    for heading, footer in (
        ("clips", str(metrics["n"])),
        ("recall before", f"UAR {before['uar']:.3f}"),
        ("after", f"UAR {metrics['uar']:.3f}"),
        ("F1 before", f"UF1 {before['uf1']:.3f}"),
        ("after", f"UF1 {metrics['uf1']:.3f}"),
    ):
        table.add_column(heading, justify="right", footer=footer)
    for name in metrics["classes"]:
        was, now = before["per_class"][name], metrics["per_class"][name]
        table.add_row(
            escape(name), str(now["n"]), *(f"{one[key]:.3f}" for key in ("recall", "f1") for one in (was, now))
        )
    console.print(table)
    for line in (*_difference_lines(metrics), _outcome(metrics, out)):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _difference_lines(metrics: Mapping[str, Any]) -> list[str]:
    told = []
    for name, found in metrics["difference"].items():
        interval = "" if found["low"] is None else f" ({found['low']:+.3f} to {found['high']:+.3f}, 95 % over people)"
        told.append(f"{name.upper()} after − before: {found['value']:+.3f}{interval}")
    people = f"{len(metrics['people'])} people, guessing gets UF1 {metrics['chance_uf1']:.3f}"
    told.append(
        {
            "better": f"It is better than before on people whom it has not seen ({people}).",
            "worse": f"It is worse than before on people whom it has not seen ({people}): keep the model before.",
            "no difference shown": f"No difference is shown ({people}): the interval holds 0.",
            "too few": f"Too few to say whether it is better or worse: {'; '.join(metrics['lacking'])}.",
        }[metrics["finding"]]
    )
    return told


def _outcome(metrics: Mapping[str, Any], out: str) -> str:
    head, every = metrics["head_epochs"], metrics["all_epochs"]
    if not head + every:
        return f"In the folds the model was best as it was: no other is written ({out}/metrics.json has the scores)."
    return f"Trained on everybody: {head} epochs of the head, {every} of all layers. Next: python -m export {out} --out DIR"

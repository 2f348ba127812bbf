"""`python -m train ablate`: the six rows of the paper's ablation table, on one's own clips.

That is the spec `train/experiments/ablation.yaml` with the settings that the flags say.
"""

import argparse
import shlex
from pathlib import Path
from typing import Any

import train.experiments
from model.console import CleanConsole
from model.variants import VARIANTS
from train.commands.experiments import compare_left_out
from train.commands.fit import add_network_flags, add_recipe_flags, names_list
from train.commands.flags import add_augmentation_flags, require_places
from train.commands.loso import add_evaluation_flags, add_machine_flags, settings_of
from train.errors import UsageError
from train.experiments.spec import read_spec

SPEC = Path(train.experiments.__path__[0]) / "ablation.yaml"

_EPILOG = """examples:
  python -m train ablate --data data/smic --epochs 60 --out runs/ablation
      all six rows, every person left out once with each of three seeds
  python -m train ablate --data data/smic --epochs 60 --rows plain,paper --seeds 1 --out runs/ablation
      the first and the last row with one seed; the first of --rows is what the others are compared with
  python -m train ablate --data data/casme2 --dropout 0.5 --protocol published --out runs/ablation
      also scored as in the literature: optimistic, shown beside what chance gets by it

All rows get the same clips, folds, seeds, epochs and augmentation. Rows without the weighted loss have no class weights,
the others those of --class-weights. Each row is a run of `python -m train loso` in a folder of its own, RUN/plain to
RUN/paper. A killed ablation goes on when the same command is given again; finished rows are kept, so that rows can be
added. In the end: ablation.md (the table), ablation.png (the picture), ablation.json (both for scripts), with 95 %
intervals of the differences and, in words, what they say and what not. python -m train report RUN makes a page of it."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ablate",
        help="the rows of the paper's ablation table, by leave-one-subject-out",
        description="Train the rows of the paper's ablation table alike, and compare them by leave-one-subject-out.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        conflict_handler="resolve",
    )
    _add_run_flags(parser.add_argument_group("run"))
    add_evaluation_flags(parser.add_argument_group("evaluation"))
    add_machine_flags(parser.add_argument_group("machine"))
    add_network_flags(parser.add_argument_group("network and input"))
    add_recipe_flags(parser.add_argument_group("recipe"))
    add_augmentation_flags(
        parser.add_argument_group("augmentation", "of training clips, drawn anew for each clip in each epoch")
    )
    # Flags of other commands that make no sense here: not in the help, and with a word on what to do instead.
    parser.add_argument("--variant", action=_Refused, help=argparse.SUPPRESS, instead="choose rows with --rows")
    parser.add_argument(
        "--pretrain", action=_Refused, help=argparse.SUPPRESS,
        instead="a pretrained network fits one row alone; use `python -m train loso`",
    )  # fmt: skip
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    from train.experiments.left_out import LeftOutPlan

    given = vars(args)
    settings = settings_of(args)
    require_places(given.get("json"))
    if given.get("rows") == ():
        raise UsageError(f"--rows: expected some of {', '.join(VARIANTS)}, found none")
    plan = LeftOutPlan(read_spec(SPEC), settings, given.get("rows", ()))
    if settings.config.class_weights == "none" and any("class_weights" not in row.overrides for row in plan.rows):
        raise UsageError("--class-weights: expected weights for the rows with a weighted loss, found 'none'")
    console, command = CleanConsole(stderr=True), shlex.join(["python", "-m", "train", *args.argv])
    machine = (given.get("jobs", 0), given.get("ray"), given.get("overwrite", False))
    return compare_left_out(plan, console, *machine, command, given.get("json"))


class _Refused(argparse.Action):
    """A flag that ends the program with a line on what to do instead."""

    def __init__(self, *args: Any, instead: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._instead = instead

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        parser.error(f"{self.option_strings[0]}: {self._instead}")


def _add_run_flags(group: Any) -> None:
    group.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML or JSON file of a fit's settings, its variant apart; flags override it",
    )
    group.add_argument(
        "--data", nargs="+", metavar="CACHE", help="clip stores (made by `python -m train prepare` or `synth`)"
    )
    group.add_argument("--out", metavar="RUN", help="folder of the ablation")
    group.add_argument(
        "--rows", type=names_list, metavar="A,B", help=f"only these rows, in this order (all: {', '.join(VARIANTS)})"
    )
    group.add_argument("--overwrite", action="store_true", help="train rows again that are in --out already")
    group.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the table's JSON to this file; - for standard output"
    )

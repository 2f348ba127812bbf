"""`python -m train loso`: leave-one-subject-out over one or more clip stores."""

import argparse
import shlex
from pathlib import Path
from typing import Any, get_args

from model.console import CleanConsole
from train.clips.samples import Scheme
from train.commands.fit import add_network_flags, add_recipe_flags, names_list
from train.commands.flags import add_augmentation_flags, require_apart, require_places, write_json
from train.config_file import config_from, read_config_file
from train.errors import UsageError
from train.fit_config import TrainConfig
from train.loso.loso import LosoSettings, Protocol, Select, loso
from train.loso.pooled_scores import scores_table
from train.loso.run_folder import LosoDir

_EPILOG = """examples:
  python -m train loso --data data/smic data/casme2 data/samm --input flow --epochs 60 --out runs/loso
      every person is left out once, three times over (three seeds); trained on all others, whatever their dataset
  python -m train loso --data data/casme2 --select validation --seeds 1 --out runs/casme2
      the epoch is chosen on people held out inside each fold, instead of fixed beforehand
  python -m train loso --data data/smic data/casme2 data/samm --scheme sde --protocol published --out runs/published
      trained within each dataset, and scored as published, too: optimistic, shown beside what chance gets by it
  python -m train loso --data data/casme2 --pretrain runs/synthetic --out runs/from_synthetic
      every fold starts from a network trained on other people
  python -m train loso --data data/casme2 --ray local --jobs 4 --out runs/ray
      folds through Ray, here on this machine alone; --ray HOST:6379 uses a cluster

A killed run goes on when the same command is given again; the folds in hand are lost, no others. The answers are the
same to the last bit whatever --jobs and --ray, since a fold always runs with --threads threads (other processors may
differ in the last digits). On a Ray cluster --data, --cache-dir and --pretrain must lie under the same paths on every
node, and every node needs what requirements-ray.txt names.
All that is random in a fold follows from its seed alone: the folds of a seed start from the same weights.
In the run's folder: loso.json, samples.jsonl, predictions.jsonl, folds.jsonl, and in the end scores.json.
python -m train report RUN makes a page of it."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "loso",
        help="measure a recipe by leave-one-subject-out",
        description="Leave-one-subject-out: every person is tested by a network that was trained without them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    _add_run_flags(parser.add_argument_group("run"))
    add_evaluation_flags(parser.add_argument_group("evaluation"))
    add_machine_flags(parser.add_argument_group("machine"))
    add_network_flags(parser.add_argument_group("network and input"))
    add_recipe_flags(parser.add_argument_group("recipe"))
    add_augmentation_flags(
        parser.add_argument_group("augmentation", "of training clips, drawn anew for each clip in each epoch")
    )
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    given, settings = vars(args), settings_of(args)
    json_out: Path | None = given.get("json")
    require_places(json_out)
    console, command = CleanConsole(stderr=True), shlex.join(["python", "-m", "train", *args.argv])
    try:
        scores = loso(settings, console, given.get("jobs", 0), given.get("ray"), given.get("overwrite", False), command)
    except KeyboardInterrupt:
        again = "finished folds are kept: give the same command again to go on"
        begun = LosoDir(settings.config.out).settings.is_file()
        console.print(f"\nstopped; {again if begun else 'nothing was trained yet'}", highlight=False, soft_wrap=True)
        return 130
    if write_json(scores, json_out):
        return 0
    CleanConsole().print(*scores_table(scores), sep="\n")
    out = settings.config.out
    console.print(f"in {out}: scores.json; next: python -m train report {out}", highlight=False, soft_wrap=True)
    return 0


def settings_of(args: argparse.Namespace) -> LosoSettings:
    """What the flags say, over those of a --config file. Raises UsageError."""
    given = vars(args)
    config = config_from(
        (read_config_file(given["config"]) if "config" in given else {})
        | {n: value for n, value in given.items() if n in TrainConfig.__dataclass_fields__ and n != "select"}
    )
    require_apart(args, config)
    names = ("scheme", "protocol", "select", "seeds", "pretrain", "threads")
    settings = LosoSettings(config, **{name: given[name] for name in names if name in given})
    if given.get("jobs", 1) < 1:
        raise UsageError(f"jobs: expected 1 or more, found {given['jobs']}")
    return settings


def _add_run_flags(group: Any) -> None:
    group.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML or JSON file of a fit's settings; flags override it"
    )
    group.add_argument(
        "--data", nargs="+", metavar="CACHE", help="clip stores (made by `python -m train prepare` or `synth`)"
    )
    group.add_argument("--out", metavar="RUN", help="folder of the run")
    group.add_argument("--overwrite", action="store_true", help="replace a run that is in --out already")
    group.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the scores to this file; - for standard output"
    )


def add_evaluation_flags(group: Any) -> None:
    group.add_argument(
        "--scheme",
        choices=get_args(Scheme),
        help="train on all other people, whatever their dataset (cde), or on those of the same dataset (sde) (cde)",
    )
    group.add_argument("--seeds", type=int, metavar="N", help="repeat everything with N seeds (3)")
    group.add_argument("--seed", type=int, metavar="FIRST", help="the first of them (0)")
    group.add_argument(
        "--select",
        choices=get_args(Select),
        help="score the last epoch (fixed), or the best on people held out inside the fold (validation) (fixed)",
    )
    group.add_argument(
        "--validation-share",
        type=float,
        metavar="SHARE",
        help="of a fold's training people, with --select validation (0.2)",
    )
    group.add_argument(
        "--protocol",
        choices=get_args(Protocol),
        help="published: also score as in the literature, by the best epoch on the tested person: optimistic (honest)",
    )
    group.add_argument("--exclude-people", type=names_list, metavar="A,B", help="neither trained on nor tested")
    group.add_argument(
        "--pretrain",
        metavar="RUN",
        help="start every fold from the weights of this finished `fit` run; its people must be others",
    )


def add_machine_flags(group: Any) -> None:
    group.add_argument(
        "--jobs", type=int, metavar="N", help="folds at a time (as cores and --threads allow; 1 with a GPU)"
    )
    group.add_argument("--threads", type=int, metavar="N", help="of TensorFlow in each fold; part of what a run is (1)")
    group.add_argument("--ray", metavar="ADDRESS", help="train on a Ray cluster; local starts one on this machine")
    group.add_argument("--workers", type=int, metavar="N", help="processes that prepare clips (one a core, at most 8)")
    group.add_argument(
        "--cache-dir", metavar="DIR", help="where prepared clips are kept (CACHE/features, else RUN/features)"
    )
    group.add_argument(
        "--mixed-precision", choices=("auto", "on", "off"), help="half precision; auto: only on a GPU (auto)"
    )

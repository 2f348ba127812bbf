"""`python -m train fit`: one training run."""

import argparse
import shlex
from pathlib import Path
from typing import Any, get_args

from rich.table import Table

from model.console import CleanConsole
from model.contract import InputKind
from model.quiet import native_log_held_back
from model.variants import VARIANTS
from train.commands.flags import add_augmentation_flags
from train.config_file import PRESETS, config_from, preset, read_config_file
from train.fit_config import TrainConfig

_EPILOG = """examples:
  python -m train fit --data data/synth --out runs/flow
      200 epochs on optical flow at 64 px; one person in five is held out to choose the best epoch
  python -m train fit --data data/synth --out runs/paper --preset paper
      the paper's own input and recipe (the store must hold rgb crops; for grey ones add --colour grey)
  python -m train fit --config runs/flow/config.yaml
      go on with an interrupted run
  python -m train fit --config runs/flow/config.yaml --out runs/flow2 --seed 1 --epochs 60
      the same with other settings: flags override the file
  python -m train fit --data data/prepared --out runs/augmented --rotate 5 --zoom 0.05 --shift 0.03 --time-jitter 0.1
      with more augmentation than mirroring; look at it first: python -m train augment --help
  python -m train fit --data data/prepared --out runs/smooth --epochs 30 --select last --average 0.999 --flow-gains 0.4
      30 epochs whatever the held-out people say; weights are averaged over some 1000 steps; u and v vary in size
  python -m train fit --data data/validation --made photos --made-clips 6000 --exclude-people a02,a06 --out runs/made
      6000 clips an epoch that no other epoch has, of everybody in photos who is neither in --data nor excluded

A config file is YAML or JSON with the flags' names: epochs: 60, validation_people: [a01, a02].
An interrupted run goes on where its backup is when the same command is given again.
In the run's folder: model.keras, contract.json, metrics.json, predictions.jsonl, history.jsonl, curves.png,
confusion.png, reliability.png, config.yaml, data.json (who was trained on), tensorboard/ (tensorboard --logdir
RUN/tensorboard). Confidences are calibrated on the held-out people, by a temperature within the model."""

_D = {name: field.default for name, field in TrainConfig.__dataclass_fields__.items()}


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "fit",
        help="train one network on a clip store",
        description="Train one network. The recipe's defaults are the paper's (Fang, Liu, Liu, MLSP 2024).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    _add_run_flags(parser.add_argument_group("run"))
    add_network_flags(parser.add_argument_group("network and input"))
    recipe = parser.add_argument_group("recipe")
    add_recipe_flags(recipe)
    _add_unit_flags(recipe)
    add_augmentation_flags(
        parser.add_argument_group("augmentation", "of training clips, drawn anew for each clip in each epoch")
    )
    _add_made_flags(parser.add_argument_group("clips drawn anew in every epoch"))
    _add_people_flags(parser.add_argument_group("people"))
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    given = {name: value for name, value in vars(args).items() if name in TrainConfig.__dataclass_fields__}
    config_file = getattr(args, "config", None)
    base = preset(args.preset) if hasattr(args, "preset") else {}
    config = config_from(base | (read_config_file(config_file) if config_file else {}) | given)
    console = CleanConsole(stderr=True)
    # TensorFlow comes in here, after everything that can be said without it.
    with native_log_held_back():
        from train.fit.fit import fit
    try:
        metrics = fit(
            config, console, getattr(args, "overwrite", False), shlex.join(["python", "-m", "train", *args.argv])
        )
    except KeyboardInterrupt:
        folder = Path(config.out) / "config.yaml"
        again = f"go on with: python -m train fit --config {folder}" if folder.is_file() else "nothing was trained yet"
        console.print(f"\nstopped; {again}", highlight=False, soft_wrap=True)
        return 130
    CleanConsole().print(
        _result(metrics) if "uf1" in metrics else "nobody was held out: no scores, the last epoch is kept"
    )
    if (units := metrics.get("action_units", {})).get("macro_f1") is not None:
        told = f"action units: F1 {units['macro_f1']:.3f} over {len(units['macro_units'])} units, threshold {units['threshold']:g}"
        CleanConsole().print(
            f"{told} (chosen on the same people; always answering “acts”: {units['macro_chance_f1']:.3f})",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f"in {config.out}: model.keras, curves.png; next: python -m export {config.out} --out DIR",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _add_run_flags(group: Any) -> None:
    group.add_argument("--config", type=Path, metavar="FILE", help="YAML or JSON file of settings; flags override it")
    group.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="settings to begin with: the paper's input and recipe; all else overrides",
    )
    group.add_argument(
        "--data", nargs="+", metavar="DIR", help="clip stores to train on (made by `python -m train synth`)"
    )
    group.add_argument("--out", metavar="RUN", help="folder of the run")
    group.add_argument("--overwrite", action="store_true", help="replace a run that is in --out already")
    group.add_argument(
        "--seed", type=int, help=f"of weights, order, dropout, augmentation and drawn people ({_D['seed']})"
    )
    group.add_argument(
        "--jobs",
        "--workers",
        dest="workers",
        type=int,
        metavar="N",
        help="processes that prepare clips (one a core, at most 8)",
    )
    group.add_argument(
        "--cache-dir", metavar="DIR", help="where prepared clips are kept (DATA/features, else RUN/features)"
    )
    group.add_argument(
        "--backup-steps", type=int, metavar="N", help="back up every N steps within an epoch, too (0: epochs only)"
    )
    group.add_argument(
        "--mixed-precision", choices=("auto", "on", "off"), help="half precision; auto: only on a GPU (auto)"
    )
    group.add_argument(
        "--threads", type=int, metavar="N", help="of TensorFlow, so that two runs can share the cores (one a core)"
    )
    group.add_argument("--note", metavar="TEXT", help="said of the training data in the model's contract")


def add_network_flags(group: Any) -> None:
    group.add_argument(
        "--variant", choices=tuple(VARIANTS), help=f"row of the ablation, see `python -m model` ({_D['variant']})"
    )
    group.add_argument(
        "--fusion", choices=("difference", "sum"), help=f"of the enhanced channel attention ({_D['fusion']})"
    )
    group.add_argument("--dropout", type=float, help=f"({_D['dropout']})")
    group.add_argument(
        "--input",
        choices=get_args(InputKind),
        help=f"raw pixels (the paper), or difference, optical flow or both to a neutral reference ({_D['input']})",
    )
    group.add_argument("--size-px", type=int, metavar="PX", help=f"side of the network's frames ({_D['size_px']})")
    group.add_argument("--fps", type=float, help="frames of the network a second (those of the data)")
    group.add_argument("--colour", choices=("grey", "rgb"), help=f"of the crops ({_D['colour']})")
    group.add_argument(
        "--reference",
        choices=("none", "ema", "lag"),
        help="neutral reference: running average or the frame some time ago (none for pixels, ema else)",
    )
    group.add_argument("--time-constant-s", type=float, metavar="S", help="of the running average (2)")
    group.add_argument("--lag-s", type=float, metavar="S", help="how long ago, for lag (0.5)")
    group.add_argument(
        "--flow-finest-scale",
        type=int,
        choices=(0, 1, 2),
        help=f"flow down to 1/2^N of the crop's resolution ({_D['flow_finest_scale']})",
    )
    group.add_argument(
        "--flow-smoothness", type=float, help=f"weight of the flow's smoothness term ({_D['flow_smoothness']:g})"
    )
    group.add_argument(
        "--flow-smoothing-px", type=float, metavar="PX", help=f"Gaussian over the flow ({_D['flow_smoothing_px']})"
    )
    group.add_argument("--strain-gain", type=float, help=f"factor on the strain channel ({_D['strain_gain']:g})")


def add_recipe_flags(group: Any) -> None:
    group.add_argument("--epochs", type=int, help=f"({_D['epochs']})")
    group.add_argument("--batch", type=int, help=f"clips a step ({_D['batch']})")
    group.add_argument("--learning-rate", type=float, metavar="RATE", help=f"of Adam ({_D['learning_rate']})")
    group.add_argument("--decay", type=float, help=f"factor on the learning rate every --decay-epochs ({_D['decay']})")
    group.add_argument("--decay-epochs", type=int, metavar="N", help=f"({_D['decay_epochs']})")
    group.add_argument(
        "--average",
        type=float,
        metavar="MOMENTUM",
        help="score and keep a moving average of the weights, as 0.999 a step (off)",
    )
    group.add_argument(
        "--class-weights",
        type=class_weights,
        metavar="KIND",
        help="paper, balanced, none, or numbers as 0.3,0.35,0.35 (auto: the paper's for its three classes, balanced for others, none for the variant without weights)",
    )
    group.add_argument("--label-smoothing", type=float, metavar="RATE", help=f"({_D['label_smoothing']:g})")


def _add_unit_flags(group: Any) -> None:
    group.add_argument(
        "--action-units",
        action="store_true",
        help="also learn which action units act on which side, from the clips' codes, as a second output of the network",
    )
    group.add_argument(
        "--unit-weight", type=float, metavar="W", help=f"of their loss against the class's ({_D['unit_weight']:g})"
    )


def _add_made_flags(group: Any) -> None:
    group.add_argument(
        "--made",
        metavar="PHOTOS",
        help="draw the training clips from a folder of portraits, as `synth` does (PERSON_1.jpg; drawn:N: from N drawn "
        "faces); --data then holds the clips to validate on, and its people are not trained on",
    )
    group.add_argument("--made-clips", type=int, metavar="N", help=f"clips an epoch ({_D['made_clips']})")
    group.add_argument(
        "--made-echoes",
        type=int,
        metavar="N",
        help="show each drawing so often in its epoch, for speed; --made-clips counts all showings (1)",
    )
    group.add_argument(
        "--made-company",
        metavar="PART=N,…",
        help="what goes with expressions beside their units, as for train synth --company",
    )
    group.add_argument(
        "--made-one-sided",
        metavar="12=CLASS",
        help="what a smile or a dimple on one side means, as for train synth --one-sided",
    )
    group.add_argument(
        "--made-rates", type=_rates, metavar="HZ,HZ", help="frame rates of the camera, all as often (the data's)"
    )


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers as 15,30, found {text!r}") from None


def _add_people_flags(group: Any) -> None:
    group.add_argument(
        "--select",
        choices=("validation", "last"),
        help=f"keep the best epoch on validation people, or the last: fixed in advance ({_D['select']})",
    )
    group.add_argument(
        "--validation-people",
        type=names_list,
        metavar="A,B",
        help="held out to choose the best epoch, or to be scored only: subjects, or dataset/subject",
    )
    group.add_argument(
        "--validation-share",
        type=float,
        metavar="SHARE",
        help=f"else this share of the people, drawn by --seed; 0: nobody, the last epoch is kept ({_D['validation_share']})",
    )
    group.add_argument(
        "--exclude-people", type=names_list, metavar="A,B", help="not used at all, for example kept for testing"
    )


def names_list(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def class_weights(text: str) -> str | tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text[:1].isdigit() or text[:1] == "." else text
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a word or numbers as 0.3,0.35,0.35, found {text!r}") from None


def _result(metrics: dict[str, Any]) -> Table:
    table = Table(title=f"Held-out people, epoch {metrics['best_epoch']} of {metrics['epochs']}")
    for heading in ("people", "clips", "UF1", "UAR", "accuracy", "chance UF1"):
        table.add_column(heading, justify="right")
    scores = [f"{metrics[name]:.3f}" for name in ("uf1", "uar", "accuracy", "chance_uf1")]
    table.add_row(str(len(metrics["validation_people"])), str(metrics["n"]), *scores)
    return table

"""`python -m train bench`: how fast training is on this machine."""

import argparse
import shlex
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from model.console import CleanConsole
from model.contract import InputKind
from model.quiet import native_log_held_back
from model.variants import VARIANTS
from train.commands.flags import require_places, write_json
from train.config_file import config_from
from train.errors import UsageError
from train.fit_config import TrainConfig
from train.progress import clip_progress
from train.text_table import TextTable

_D = {name: field.default for name, field in TrainConfig.__dataclass_fields__.items()}

_WAYS = {"loop": "training loop", "fit": "model.fit", "step_alone": "step alone"}

_EPILOG = """examples:
  python -m train bench --data data/synth
  python -m train bench --data data/synth --batch 16 --rounds 20 --json bench.json
  python -m train bench --generator photos

The training loop (features from a memory map, augmentation, `train fit`'s own code), a plain model.fit on the same clips
as arrays in memory, and the network's step alone on one batch in memory take turns in one process: same network,
optimizer, loss, batch, steps and threads. The first round and every round's first step are left out. p95 is the speed
that 95 % of the rounds reach. --generator measures instead how fast clips are made: each as a camera's frames that the
live alignment follows (synth), drawn directly as aligned crops (fit --made), and these on to the network's input. For numbers worth keeping, let nothing else run."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "bench",
        help="how many clips a second training takes, beside a plain model.fit",
        description="Measure the speed of training on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", metavar="DIR", help="clip store to train on")
    what.add_argument(
        "--generator",
        nargs="?",
        const="drawn:2",
        metavar="PHOTOS",
        help="measure making clips instead, from a folder of portraits (left out: two drawn faces)",
    )
    parser.add_argument("--clips", type=int, default=40, metavar="N", help="clips a round of --generator (40)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to this file")
    parser.add_argument("--rounds", type=int, default=8, metavar="N", help="rounds of each (8)")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="steps a round (10)")
    for flag, choices in (("--variant", tuple(VARIANTS)), ("--input", get_args(InputKind))):
        name = flag.removeprefix("--")
        parser.add_argument(flag, choices=choices, default=_D[name], help=f"as in fit ({_D[name]})")
    parser.add_argument("--size-px", type=int, default=_D["size_px"], metavar="PX", help=f"({_D['size_px']})")
    parser.add_argument("--batch", type=int, default=_D["batch"], help=f"clips a step ({_D['batch']})")
    parser.add_argument("--mixed-precision", choices=("auto", "on", "off"), default="auto", help="as in fit (auto)")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    console = CleanConsole(stderr=True)
    if args.rounds < 1 or args.steps < 2:
        raise UsageError(f"--rounds, --steps: expected 1 and 2 or more, found {args.rounds} and {args.steps}")
    if args.clips < 1:
        raise UsageError(f"--clips: expected 1 or more, found {args.clips}")
    require_places(args.json)
    with tempfile.TemporaryDirectory() as out:
        names = ("variant", "input", "size_px", "batch", "mixed_precision")
        config = config_from(
            {"data": [args.data or "none"], "out": out, "class_weights": "none"}
            | {name: getattr(args, name) for name in names}
        )
        if args.generator:
            report = _generator(config, args.generator, args.clips, args.rounds, console)
        else:
            report = _measured(config, args.rounds, args.steps, console)
    report["command"] = shlex.join(["python", "-m", "train", *args.argv])
    (_show_generator if args.generator else _show)(report, CleanConsole())
    if args.json and not write_json(report, args.json):
        console.print(f"in {args.json}", highlight=False, soft_wrap=True, markup=False)
    return 0


def _measured(config: TrainConfig, rounds: int, steps: int, console: Console) -> dict[str, Any]:
    with native_log_held_back():
        from stream.machine import machine_facts
        from train.fit.speed import AUGMENTATIONS, measure
    from train.clips.samples import Split, TrainingSet, load_features, open_stores, run_contract, samples_of, scaling

    stores = open_stores(config.data)
    contract = run_contract(config, stores)
    samples = samples_of(stores)
    rows = np.sort(np.random.default_rng(config.seed).permutation(len(samples.ids))[: steps * config.batch])
    if len(rows) < steps * config.batch:
        raise UsageError(
            f"{config.data[0]}: expected {steps * config.batch} clips for {steps} steps of {config.batch}, "
            f"found {len(rows)}; use a lower --steps or --batch"
        )
    with clip_progress(console, "preparing clips", len(samples.ids)) as advance:
        features = load_features(stores, contract, config, advance)
    data = TrainingSet(features, samples, Split(rows, rows[:0]), scaling(features, rows))
    with clip_progress(console, "rounds", len(AUGMENTATIONS) * (rounds + 1)) as advance:
        series = [measure(config, data, name, rounds, lambda: advance(1)) for name in AUGMENTATIONS]
    return {
        "machine": machine_facts(),
        "keras": version("keras"),
        "network": {
            "variant": config.variant,
            "input": config.input,
            "shape": list(contract.input_shape),
            "mixed_precision": config.mixed_precision,
        },
        "batch": config.batch,
        "steps": steps,
        "rounds": rounds,
        "series": [one.to_dict() for one in series],
    }


def _generator(config: TrainConfig, photos: str, clips: int, rounds: int, console: Console) -> dict[str, Any]:
    from model.contract import CropGeometry
    from stream.machine import machine_facts
    from train.fit.speed import EXACT_SHARE, measure_generator
    from train.synth.action_units import CLASS_NAMES
    from train.synth.fresh_clips import load_portraits

    contract = config.contract(CLASS_NAMES, 30, 30.0, CropGeometry())
    faces = load_portraits(photos)
    with clip_progress(console, "clips", round(rounds * clips * (4 + EXACT_SHARE))) as advance:
        speeds = measure_generator(contract, faces, clips, rounds, advance)
    return {
        "machine": machine_facts(),
        "opencv": version("opencv-contrib-python"),
        "photos": len(faces),
        "input": {"kind": config.input, "shape": list(contract.input_shape)},
        "clips": clips,
        "rounds": rounds,
        "generator": [speed.to_dict() for speed in speeds],
    }


def _show_generator(report: dict[str, Any], console: Console) -> None:
    machine, shape = report["machine"], "×".join(map(str, report["input"]["shape"]))
    console.print(
        f"{machine['processor']}, {machine['cores']} cores; {report['photos']} photos, crops to {report['input']['kind']} "
        f"{shape}, {report['rounds']} rounds of {report['clips']} clips",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    rows = [
        [
            one["way"],
            str(one["workers"]),
            f"{one['clips_per_s']:.1f}",
            f"{one['slowest_clips_per_s']:.1f}",
            f"{one['cpu_ms']:.1f}",
        ]
        for one in report["generator"]
    ]
    console.print(TextTable("", ["way", "threads", "clips/s", "slowest", "CPU ms/clip"], rows).shown())


def _show(report: dict[str, Any], console: Console) -> None:
    machine, network = report["machine"], report["network"]
    shape = "×".join(map(str, network["shape"]))
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['gpu'] or 'no GPU'}; {network['variant']} on "
        f"{network['input']} {shape}, {report['rounds']} rounds of {report['steps']} steps of {report['batch']} clips",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    table = Table()
    for heading in ("augmentation", "way"):
        table.add_column(heading)
    for heading in ("clips/s", "p95", "CPU ms/clip", "loop is"):
        table.add_column(heading, justify="right")
    for one in report["series"]:
        ratios = ("", f"{one['loop_to_fit']:.2f}×", f"{one['loop_to_step']:.2f}×")
        for (name, words), ratio in zip(_WAYS.items(), ratios, strict=True):
            speed, shown = one[name], one["augmentation"] if name == "loop" else ""
            rates = (f"{speed['clips_per_s']:.1f}", f"{speed['p95_clips_per_s']:.1f}", f"{speed['cpu_ms']:.1f}")
            table.add_row(shown, words, *rates, ratio, end_section=name == "step_alone")
    console.print(table)
    for one in report["series"]:
        console.print(
            f"augmentation {one['augmentation']}: {one['augment_p50_us']:.0f} µs a clip on one thread "
            f"(p95 {one['augment_p95_us']:.0f})",
            highlight=False,
        )

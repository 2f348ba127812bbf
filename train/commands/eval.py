"""`python -m train eval`: a model's scores on a clip store."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from model.console import CleanConsole
from stream.engine.model_file import BUNDLED_MODEL
from train.clips.store import ClipStore
from train.commands.flags import require_places, write_json
from train.progress import clip_progress
from train.scores.evaluate import evaluate, open_model, require_fit

_EPILOG = """examples:
  python -m train eval --data data/held_out                            the bundled model
  python -m train eval --data data/held_out --model runs/flow          a run's Keras model
  python -m train eval --data data/synth --model model.onnx --people a01,a02 --json scores.json

Clips go through the preprocessing in the model's own contract, as live. UF1 and UAR are those of MEGC 2019, pooled over
all clips; chance is what guessing by the classes' frequencies scores on the same clips."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "eval",
        help="measure a model on a clip store",
        description="Measure a model (ONNX, or Keras from a run) on a clip store.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="clip store")
    parser.add_argument(
        "--model", type=Path, metavar="PATH", help=".onnx file, .keras file or run folder (the bundled model)"
    )
    parser.add_argument("--people", type=_names, default=(), metavar="A,B", help="only these people (all)")
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help="also write the scores to this file; - for standard output"
    )
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    console = CleanConsole(stderr=True)
    store = ClipStore.open(args.data)
    path: Path = args.model or BUNDLED_MODEL
    require_places(args.json)
    predictor = open_model(path)
    require_fit(store, predictor.contract)
    with clip_progress(console, "clips", len(store)) as advance:
        found = evaluate(predictor, store, args.people, advance)
    command = shlex.join(["python", "-m", "train", *args.argv])
    report = {"model": str(path), "data": str(args.data), **found.report, "command": command}
    if write_json(report, args.json):
        return 0
    _print(report, CleanConsole())
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _print(report: dict[str, Any], console: Console) -> None:
    names = report["classes"]
    console.print(f"{report['model']} on {report['data']}", highlight=False, soft_wrap=True)
    table = Table(show_footer=True)
    table.add_column("class", footer="together")
    footers = (
        ("clips", str(report["n"])),
        ("precision", ""),
        ("recall", f"UAR {report['uar']:.3f}"),
        ("F1", f"UF1 {report['uf1']:.3f}"),
    )
    for heading, footer in footers:
        table.add_column(heading, justify="right", footer=footer)
    for name in names:
        score = report["per_class"][name]
        table.add_row(name, str(score["n"]), *(f"{score[key]:.3f}" for key in ("precision", "recall", "f1")))
    console.print(table)
    console.print(
        f"accuracy {report['accuracy']:.3f}; chance: UF1 {report['chance_uf1']:.3f}, "
        f"UAR {report['chance_uar']:.3f}, accuracy {report['chance_accuracy']:.3f}",
        highlight=False,
    )
    confusion = Table("truth", *names, title="Answers")
    for name, row in zip(names, report["confusion"], strict=True):
        confusion.add_row(name, *map(str, row))
    console.print(confusion)
    if report["by_peak"]:
        bins = Table("peak motion", "clips", "UF1", "UAR", "accuracy", title="By size of the motion")
        for name, row in report["by_peak"].items():
            bins.add_row(name, str(row["n"]), *(f"{row[key]:.3f}" for key in ("uf1", "uar", "accuracy")))
        console.print(bins)
    if report["absent"]:
        console.print(f"no clips of {', '.join(report['absent'])}: left out of UAR, 0 in UF1", style="yellow")

"""`python -m train experiments`: settings compared on validation people, with what each costs live."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from model.console import CleanConsole
from model.quiet import native_log_held_back
from train.commands.fit import names_list
from train.commands.flags import require_places, write_json
from train.errors import UsageError
from train.experiments.spec import Spec, read_spec
from train.files import write_text
from train.progress import clip_progress

if TYPE_CHECKING:
    from train.experiments.left_out import LeftOutPlan

_EPILOG = """examples:
  python -m train experiments docs/experiments/input.yaml --data data/synth --out runs/input
      every row of the spec with each of its seeds, then the table
  python -m train experiments docs/experiments/input.yaml --data data/synth --out runs/input --rows flow,both --seeds 0
      only these; the table shows all that is finished
  python -m train experiments SPEC.yaml --data data/synth --test data/held-out --out runs/compared
      also scored on people that no row ever sees

A spec is a YAML file of named rows, settings of `train fit` that differ from a common base:
  title: What the network sees
  seeds: [0, 1, 2]
  base: {epochs: 6, size_px: 64, validation_people: [a04, a08]}
  rows:
    flow: {input: flow, about: flow to the resting face}
    paper: {preset: paper, size_px: 64, colour: grey}
Each row and seed is a run of `train fit` in a folder of its own, RUN/ROW/seed-N. A killed command goes on when given
again, and finished runs are kept. Two commands with different --rows or --seeds may work side by side in one --out (with
--threads 1 each they are faster together than one); give the command without --rows and --seeds at the end.
In the end: experiments.md (the table), experiments.png, experiments.json (the same for scripts). Choose by the validation
people alone: what is chosen by looking at the test people is no longer tested by them.
With `loso: {scheme: cde, select: fixed}` in the spec rows are compared by leaving every person out once instead, as
`train ablate` does: each row is a run of `train loso` in RUN/ROW, and the table says how far its differences carry."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "experiments",
        help="rows of settings compared on validation people, three seeds each, with their live cost",
        description="Train rows of settings alike and compare them on validation people, beside what each costs live.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("spec", type=Path, metavar="SPEC", help="YAML file of rows, see below")
    parser.add_argument("--data", nargs="+", required=True, metavar="DIR", help="clip stores to train and choose on")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the runs and the table")
    parser.add_argument("--test", nargs="+", default=[], metavar="DIR", help="clip stores of other people, only scored")
    parser.add_argument("--rows", type=names_list, default=(), metavar="A,B", help="run only these rows (all)")
    parser.add_argument("--seeds", type=_seeds, default=(), metavar="0,1", help="run only these seeds (the spec's)")
    for flag in ("--validation-people", "--exclude-people"):
        parser.add_argument(flag, type=names_list, metavar="A,B", help="as in fit, instead of the spec's")
    parser.add_argument("--live-frames", type=int, default=300, metavar="N", help="to time each row on; 0: none (300)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of TensorFlow (0: one a core)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=0,
        metavar="N",
        help="processes that prepare clips (one a core); with loso: folds at a time",
    )
    parser.add_argument("--cache-dir", metavar="DIR", help="where prepared clips are kept (DATA/features)")
    parser.add_argument("--overwrite", action="store_true", help="run again what is finished")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the JSON here; - for standard output")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the Markdown here")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    from train.experiments.schedule import SchedulePlan, run_rows

    spec = read_spec(args.spec)
    for name, least in (("live_frames", 0), ("threads", 0), ("jobs", 0)):
        if getattr(args, name) < least:
            raise UsageError(f"--{name.replace('_', '-')}: expected {least} or more, found {getattr(args, name)}")
    require_places(args.json, args.markdown)
    people = {name: getattr(args, name) for name in ("validation_people", "exclude_people") if getattr(args, name)}
    base = {"data": args.data, "workers": args.jobs, "cache_dir": args.cache_dir, **people}
    console, command = CleanConsole(stderr=True), shlex.join(["python", "-m", "train", *args.argv])
    if spec.loso is not None:
        return _left_out(spec, base, args, console, command)
    plan = SchedulePlan(spec, base, args.out, tuple(args.test), args.rows, args.seeds)
    if args.threads:
        with native_log_held_back():
            from train.loso.fold import prepare_process

            prepare_process(args.threads)
    try:
        run_rows(plan, console, args.overwrite, command)
        facts = _table(plan, args.live_frames, console, command)
    except KeyboardInterrupt:
        console.print("\nstopped; give the same command again (without --overwrite) to go on", highlight=False)
        return 130
    _write(facts, args, console)
    return 0


def _left_out(spec: Spec, base: Mapping[str, Any], args: argparse.Namespace, console: Console, command: str) -> int:
    """A spec with loso."""
    from train.experiments.left_out import LeftOutPlan

    for flag in ("test", "seeds", "validation_people"):
        if getattr(args, flag):
            raise UsageError(f"--{flag.replace('_', '-')}: expected none with a spec of leave-one-subject-out")
    plan = LeftOutPlan.of(spec, {**base, "workers": 0, "out": str(args.out)}, args.threads or 1, args.rows)
    return compare_left_out(plan, console, args.jobs, None, args.overwrite, command, args.json, args.markdown)


def compare_left_out(
    plan: "LeftOutPlan",
    console: Console,
    workers: int,
    ray: str | None,
    overwrite: bool,
    command: str,
    json_out: Path | None = None,
    markdown_out: Path | None = None,
) -> int:
    """Runs the rows by leave-one-subject-out and shows the table and what it says; returns the exit code."""
    from train.experiments.left_out import FACTS, PICTURE, TABLE, run_left_out
    from train.experiments.left_out_table import markdown, terminal_table

    try:
        facts = run_left_out(plan, console, workers, ray, overwrite, command)
    except KeyboardInterrupt:
        told = "\nstopped; finished folds are kept: give the same command again (without --overwrite) to go on"
        console.print(told, highlight=False, soft_wrap=True)
        return 130
    if markdown_out:
        write_text(markdown_out, markdown(facts))
    if write_json(facts, json_out):
        return 0
    out = CleanConsole()
    out.print(terminal_table(facts).shown())
    for sentence in facts["text"]:
        out.print(f"• {sentence}", highlight=False, markup=False)
    told = f"{plan.out / TABLE}, {PICTURE}, {FACTS}; next: python -m train report {plan.out}"
    console.print(told, highlight=False, soft_wrap=True)
    return 0


def _table(plan: Any, live_frames: int, console: Console, command: str) -> dict[str, Any]:
    """Of everything that is finished."""
    from stream.machine import machine_facts
    from train.clips.samples import open_stores
    from train.experiments.comparison import experiments_facts
    from train.experiments.kinds import KINDS
    from train.experiments.live_cost import measure_live
    from train.experiments.schedule import read_finished

    found = [read_finished(plan, row, seed) for row in plan.spec.rows for seed in row.seeds]
    finished = [one for one in found if one is not None]
    rows = {one.row.name: one.row for one in finished}
    live: Mapping[str, Any] = {}
    if live_frames:
        console.print("measuring what each row costs live", highlight=False)
        asked = {name: KINDS[row.kind].live(plan.task(row, row.seeds[0], console)) for name, row in rows.items()}
        lines = {name: line for name, line in asked.items() if line is not None}
        with clip_progress(console, "frames", live_frames) as advance:
            live = measure_live(lines, open_stores(plan.base["data"])[0], live_frames, advance)
    return experiments_facts(plan, finished, live, machine_facts(), command)


def _write(facts: Mapping[str, Any], args: argparse.Namespace, console: Console) -> None:
    from train.charts import write_png
    from train.experiments.comparison import markdown, terminal_table
    from train.experiments.drawing import experiments_figure

    write_json(facts, args.out / "experiments.json")
    write_text(args.out / "experiments.md", markdown(facts))
    write_png(experiments_figure(facts), args.out / "experiments.png")
    if args.markdown:
        write_text(args.markdown, markdown(facts))
    if write_json(facts, args.json):
        return
    for name in facts["parts"]:
        CleanConsole().print(terminal_table(facts, name).shown())
    console.print(f"in {args.out}: experiments.md, experiments.png, experiments.json", highlight=False, soft_wrap=True)


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in names_list(text))
    except ValueError:
        seeds = ()
    if not seeds or any(seed < 0 for seed in seeds):
        raise argparse.ArgumentTypeError(f"expected integers separated by commas, such as 0,1,2, found {text!r}")
    return seeds

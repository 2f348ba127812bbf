"""`python -m tests.fuzz`: thousands of mutated inputs through the real commands."""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Threads that libraries make at their import would not survive a fork.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.fuzz.case import Case
from tests.fuzz.corpus import Corpus, build
from tests.fuzz.forked import Runner, command_line, in_child, preload
from tests.fuzz.kinds import KINDS, make_case
from tests.fuzz.verdict import problems

_EPILOG = """examples:
  python -m tests.fuzz --inputs 2000 --seed 1 --jobs 2 --json runs/fuzz.json --keep runs/fuzz
  python -m tests.fuzz --inputs 50 --seed 2 --kinds video,jpeg --keep runs/fuzz
  python -m tests.fuzz --seed 1 --only 17 --keep runs/fuzz       number 17 again; its files stay in runs/fuzz/00017
  python -m tests.fuzz --inputs 24 --sound --keep runs/fuzz      without mutations: everything must go well

Sound inputs of every kind are made once (KEEP/corpus), mutated, and given to the command that reads them. Every command
has to end in time with exit code 0, 1 or 2, a clear line on the error stream where it is not 0, no traceback, no crash,
whole rows in what it wrote, and no thread or process left behind. What does not is kept in KEEP/NUMBER with its files and
its output, and makes the exit code 1. Kinds, seed and number say what an input is: give the same --kinds with --only."""
PROBLEMS = ("traceback", "hang", "crash", "code", "silent", "unclear", "torn", "threads", "orphan")
_OWN_COLUMN = {"traceback": "tracebacks", "hang": "hangs", "crash": "crashes"}


@dataclass
class Tally:
    """Of one kind of inputs."""

    inputs: int = 0
    codes: Counter[int] = field(default_factory=lambda: Counter[int]())
    problems: Counter[str] = field(default_factory=lambda: Counter[str]())
    seconds: float = 0.0
    slowest_s: float = 0.0
    peak_mb: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        codes = {str(code): self.codes[code] for code in (0, 1, 2)}
        times = {"mean_s": self.seconds / max(1, self.inputs), "slowest_s": self.slowest_s, "peak_mb": self.peak_mb}
        return {"inputs": self.inputs, "codes": codes, **{name: self.problems[name] for name in PROBLEMS}, **times}


@dataclass
class Report:
    """`failures`: number, kind, mutation, command line and problems of every input that went wrong."""

    tallies: dict[str, Tally] = field(default_factory=lambda: dict[str, Tally]())
    failures: list[dict[str, Any]] = field(default_factory=lambda: list[dict[str, Any]]())

    def as_dict(self) -> dict[str, Any]:
        kinds = {name: tally.as_dict() for name, tally in sorted(self.tallies.items())}
        total = sum(tally.inputs for tally in self.tallies.values())
        return {"inputs": total, "failed": len(self.failures), "kinds": kinds, "failures": self.failures}


MakeCase = Callable[[Path, int], tuple[str, Case]]


def fuzz(
    make: MakeCase,
    numbers: Sequence[int],
    runner: Runner,
    keep: Path,
    sound: bool = False,
    keep_all: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Report:
    """Runs the inputs with these numbers; what fails stays in `keep`, or with `keep_all` everything."""
    report = Report()
    cases: dict[int, tuple[str, Case, Path]] = {}

    def prepared() -> Iterator[tuple[int, Path, Case]]:
        for number in numbers:
            folder = keep / f"{number:05d}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            kind, case = make(folder, number)
            cases[number] = (kind, case, folder)
            yield number, folder, case

    for number, ended in runner.run(prepared()):
        kind, case, folder = cases.pop(number)
        found = problems(case, folder, ended, sound)
        tally = report.tallies.setdefault(kind, Tally())
        tally.inputs += 1
        tally.codes.update([] if ended.code is None else [ended.code])
        tally.problems.update({name for name, _ in found})
        tally.seconds += ended.seconds
        tally.slowest_s, tally.peak_mb = max(tally.slowest_s, ended.seconds), max(tally.peak_mb, ended.peak_mb)
        if found:
            failure = {
                "number": number,
                "kind": kind,
                "mutation": case.mutation,
                "command": shlex.join(command_line(case, {})),
                "code": ended.code,
                "seconds": round(ended.seconds, 2),
                "problems": [list(problem) for problem in found],
            }
            report.failures.append(failure)
            (folder / "failure.json").write_text(json.dumps(failure, indent=2) + "\n")
        elif not keep_all:
            shutil.rmtree(folder, ignore_errors=True)
        advance(1)
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """0 when everything ended as it should, 1 otherwise."""
    args = _parser().parse_args(argv)
    console = Console(stderr=True)
    # Beside nothing else: what is kept must not be mixed with other files.
    keep: Path = (args.keep or Path(tempfile.mkdtemp(prefix="microlive-fuzz-"))).resolve()
    parts = tuple(dict.fromkeys(part for name in args.kinds for part in KINDS[name].parts))
    # No spinner: its thread would not survive a fork.
    console.print("loading the commands, making sound inputs ...")
    preload(tensorflow="trained" in args.kinds)
    in_child(lambda: build(keep / "corpus", parts))
    numbers = [args.only] if args.only is not None else range(1, args.inputs + 1)
    corpus = Corpus(keep / "corpus")

    def make(folder: Path, number: int) -> tuple[str, Case]:
        return make_case(args.kinds, corpus, folder, args.seed, number, not args.sound)

    started_s = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Refreshed by hand, for the same reason.
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        task = progress.add_task("inputs", total=len(numbers))

        def advance(count: int) -> None:
            progress.advance(task, count)
            progress.refresh()

        runner = Runner(args.jobs, args.timeout, args.real)
        report = fuzz(make, numbers, runner, keep, args.sound, args.only is not None, advance)
    facts = {
        "seed": args.seed,
        "sound": args.sound,
        "seconds": round(time.monotonic() - started_s, 1),
        **report.as_dict(),
    }
    if args.json:
        args.json.write_text(json.dumps(facts, indent=2) + "\n")
    out = Console()
    out.print(_table(facts))
    for failure in report.failures:
        told = "; ".join(f"{name}: {details}" for name, details in failure["problems"])
        out.print(
            f"{failure['number']:05d} {failure['kind']}, {failure['mutation']}: {told}", markup=False, soft_wrap=True
        )
    if report.failures or args.only is not None:
        out.print(f"kept in {keep}", highlight=False, soft_wrap=True)
    elif args.keep is None:
        shutil.rmtree(keep, ignore_errors=True)
    return 1 if report.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Give mutated inputs to the real commands, and see that they end as they should.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--inputs", type=_positive, default=2000, metavar="N", help="how many (%(default)s)")
    add("--seed", type=int, default=1, help="another seed, other inputs (%(default)s)")
    add("--kinds", type=_kinds, default=tuple(KINDS), metavar="A,B", help=f"only these (all: {', '.join(KINDS)})")
    add("--jobs", type=_positive, default=1, metavar="N", help="commands at a time (%(default)s)")
    add("--timeout", type=float, default=20.0, metavar="S", help="after which a command hangs (%(default)g)")
    add("--only", type=_positive, metavar="NUMBER", help="run this input alone and keep its files")
    add("--sound", action="store_true", help="do not mutate: every command must end well")
    add("--real", action="store_true", help="start every command as a program of its own, seconds each")
    add("--keep", type=Path, metavar="DIR", help="folder for sound inputs and for what failed (a temporary one)")
    add("--json", type=Path, metavar="FILE", help="also write the counts and failures here")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {text}")
    return value


def _kinds(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(KINDS)}, found {', '.join(unknown)}")
    return names


def _table(facts: Mapping[str, Any]) -> Table:
    mutated = "sound" if facts["sound"] else "mutated"
    table = Table(
        title=f"{facts['inputs']} {mutated} inputs in {facts['seconds']:.0f} s, {facts['failed']} failed", box=None
    )
    table.add_column("kind")
    for heading in ("inputs", "exit 0", "1", "2", *_OWN_COLUMN.values(), "other", "mean s", "most"):
        table.add_column(heading, justify="right")
    for name, kind in facts["kinds"].items():
        codes = [str(kind["codes"][code]) for code in ("0", "1", "2")]
        others = {problem: kind[problem] for problem in PROBLEMS if problem not in _OWN_COLUMN and kind[problem]}
        told = [str(kind[problem]) for problem in _OWN_COLUMN]
        told.append(", ".join(f"{count} {problem}" for problem, count in others.items()) or "0")
        table.add_row(name, str(kind["inputs"]), *codes, *told, f"{kind['mean_s']:.2f}", f"{kind['slowest_s']:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main())

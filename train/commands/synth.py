"""`python -m train synth`: writes a store of synthetic micro-expression clips."""

import argparse
import dataclasses
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from model.console import CleanConsole
from train.clips.store import ClipRecord, ClipStoreWriter, StoreManifest
from train.errors import UsageError
from train.synth.action_units import CLASS_NAMES, OneSided
from train.synth.clip import ClipSettings
from train.synth.company import CompanySettings
from train.synth.drawn import drawn_face
from train.synth.faces import FaceError, FaceSource, LeftOut, astronaut, load_faces, subjects
from train.synth.generate import DATASET, ClipPlan, generate

DESCRIPTION = """\
Makes micro-expression clips from portraits: action units move landmarks, a smooth field moves the photo's skin over
time, and every frame goes through the live program's alignment. Neutral clips have the same blinks, head motion, light
and noise, but no micro-expression."""

EXAMPLES = """\
examples:
  python -m train synth --out data/synth                          astronaut and drawn faces, 800 clips
  python -m train synth --faces photos --clips 3000 --out data/synth
  python -m train synth --faces photos --people anna,ben --out data/held_out --seed 2
  python -m train synth --out data/synth --preview                also preview.png and a GIF per class

Photos are grouped into people by file name: anna_1.jpg and anna_2.jpg are anna."""


@dataclass(frozen=True)
class SynthConfig:
    out: Path
    faces: Path | None
    people: tuple[str, ...]
    exclude: tuple[str, ...]
    drawn: int
    plan: ClipPlan
    jobs: int
    overwrite: bool
    preview: bool


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "synth", help="make synthetic micro-expression clips", description=DESCRIPTION, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    defaults = ClipSettings()
    add("--out", type=Path, required=True, metavar="DIR", help="the clip store to write")
    add(
        "--faces",
        type=Path,
        metavar="DIR",
        help="folder of portraits (default: the astronaut of scikit-image and drawn faces)",
    )
    add("--people", type=_names, default=(), metavar="A,B", help="only these people")
    add("--exclude", type=_names, default=(), metavar="A,B", help="all people but these")
    add(
        "--drawn",
        type=int,
        default=7,
        metavar="N",
        help="drawn faces beside the astronaut, without --faces (default %(default)s)",
    )
    add("--clips", type=int, default=800, metavar="N", help="clips in all (default %(default)s)")
    add(
        "--classes",
        type=_names,
        default=CLASS_NAMES,
        metavar="A,B",
        help=f"classes, in the order of their index (default {','.join(CLASS_NAMES)})",
    )
    add("--seed", type=int, default=1, help="the same seed gives the same clips, bit for bit (default %(default)s)")
    add(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes (default: all cores, here %(default)s)",
    )
    add("--colour", choices=("grey", "rgb"), default="grey", help="default %(default)s")
    add("--peak", type=float, nargs=2, default=(defaults.peak_min_px, defaults.peak_max_px), metavar=("MIN", "MAX"),
        help="range of the peak motion in pixels of the 128 px crop (default %(default)s)")  # fmt: skip
    add(
        "--lead-frames",
        type=int,
        default=defaults.lead_frames,
        metavar="N",
        help="frames before the window (default %(default)s)",
    )
    add(
        "--hard",
        type=float,
        default=defaults.hard_share,
        metavar="SHARE",
        help="share of clips in which people talk, turn and move more and the camera is worse (default %(default)s)",
    )
    add(
        "--company",
        default="",
        metavar="PART=N,…",
        help="what goes with expressions beside their units: share (of them), eyes, lids, gaze, turn, rough "
        f"({', '.join(f'{f.name}={getattr(defaults.company, f.name):g}' for f in dataclasses.fields(defaults.company))})",
    )
    add(
        "--one-sided",
        default="",
        metavar="12=CLASS,14=CLASS",
        help="the class of a smile (12) or a dimple (14) on one side alone, in which datasets differ "
        f"(12={OneSided().lip_corner},14={OneSided().dimple}; DFME: 12=negative)",
    )
    add(
        "--own-recipes",
        action="store_true",
        help="people have expressions and strengths of their own, other than the usual ones (--peak is not used): what a model "
        "that learned from those is worth elsewhere, and what `train adapt` makes of it",
    )
    add("--overwrite", action="store_true", help="replace the store if it is there")
    add("--preview", action="store_true", help="also write preview.png and preview_<class>.gif")
    parser.set_defaults(run=run, replaces=True)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f"expected different names separated by commas, found {text!r}")
    return names


def parse(args: argparse.Namespace) -> SynthConfig:
    """A checked configuration; raises UsageError with one line on what does not fit."""
    unknown = [name for name in args.classes if name not in CLASS_NAMES]
    if unknown:
        raise UsageError(f"--classes: expected some of {', '.join(CLASS_NAMES)}, found {', '.join(unknown)}")
    if args.jobs < 1 or args.drawn < 0:
        raise UsageError(f"--jobs and --drawn: expected 1 or more and 0 or more, found {args.jobs} and {args.drawn}")
    smallest_px, largest_px = args.peak
    try:
        settings = ClipSettings(
            colour=args.colour,
            lead_frames=args.lead_frames,
            peak_min_px=smallest_px,
            peak_max_px=largest_px,
            hard_share=args.hard,
            company=CompanySettings.from_text(args.company),
            one_sided=OneSided.from_text(args.one_sided),
        )
        plan = ClipPlan(args.classes, args.clips, args.seed, settings, args.own_recipes)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return SynthConfig(
        args.out, args.faces, args.people, args.exclude, args.drawn, plan, args.jobs, args.overwrite, args.preview
    )


def run(args: argparse.Namespace) -> int:
    """Exit status 0; raises UsageError, StoreError or FaceError."""
    write(parse(args), CleanConsole())
    return 0


def write(config: SynthConfig, console: Console) -> None:
    """Makes the clips and writes the store; raises StoreError or FaceError."""
    plan, settings = config.plan, config.plan.settings
    manifest = StoreManifest(
        class_names=plan.class_names, fps=settings.fps, crop=settings.geometry, colour=settings.colour, frames=settings.frames,
        lead_frames=settings.lead_frames, seed=plan.seed, settings=dataclasses.asdict(settings), command=shlex.join(sys.argv),
    )  # fmt: skip
    ClipStoreWriter(config.out, manifest, config.overwrite)  # says at once when it may not write there
    faces, left_out = _faces(config)
    manifest = dataclasses.replace(manifest, left_out={photo.path.name: photo.reason for photo in left_out})
    records: list[ClipRecord] = []
    started_s = time.monotonic()
    with ClipStoreWriter(config.out, manifest, config.overwrite) as store, _progress(console) as progress:
        task = progress.add_task("clips", total=plan.clips)
        for record, clip in generate(plan, faces, config.jobs):
            store.add(record, clip)
            records.append(record)
            progress.advance(task)
    took_s = time.monotonic() - started_s
    _report(console, config, records, left_out, took_s)
    if config.preview:
        from train.synth.preview import write_previews  # pictures are needed here only

        for path in write_previews(config.out):
            console.print(f"preview: {path}", highlight=False)


def _faces(config: SynthConfig) -> tuple[list[FaceSource], list[LeftOut]]:
    left_out: list[LeftOut] = []
    if config.faces is None:
        faces = [astronaut(), *(drawn_face(seed) for seed in range(config.drawn))]
    else:
        faces, left_out = load_faces(config.faces)
    known = subjects(faces)
    unknown = [name for name in (*config.people, *config.exclude) if name not in known]
    if unknown:
        raise FaceError(f"people: expected some of {', '.join(known)}, found {', '.join(unknown)}")
    chosen = [f for f in faces if (not config.people or f.subject in config.people) and f.subject not in config.exclude]
    if not chosen:
        raise FaceError("people: nobody is left after --people and --exclude")
    return chosen, left_out


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _report(
    console: Console, config: SynthConfig, records: Sequence[ClipRecord], left_out: Sequence[LeftOut], took_s: float
) -> None:
    console.print(
        f"{len(records)} {DATASET} clips in {took_s:.0f} s ({len(records) / took_s:.1f} a second) → {config.out}",
        highlight=False,
    )
    by_class = Table("class", "clips", "units, most frequent first", title="Classes")
    for name in config.plan.class_names:
        mine = [record for record in records if record.label == name]
        units = Counter("+".join(record.action_units) for record in mine if record.action_units)
        by_class.add_row(name, str(len(mine)), ", ".join(f"{unit} ({n})" for unit, n in units.most_common(6)) or "–")
    console.print(by_class)
    by_subject = Table("person", *config.plan.class_names, title="People")
    counts = Counter((record.subject, record.label) for record in records)
    for subject in sorted({record.subject for record in records}):
        by_subject.add_row(subject, *(str(counts[subject, name]) for name in config.plan.class_names))
    console.print(by_subject)
    lost = sum(bool(record.notes["lost_frames"]) for record in records)
    if lost:
        console.print(f"{lost} clips have frames that the alignment lost, as happens live.")
    if left_out:
        table = Table("photo", "why", title="Photos left out")
        for photo in left_out:
            table.add_row(photo.path.name, photo.reason)
        console.print(table)

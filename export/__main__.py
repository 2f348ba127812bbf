"""`python -m export`: turns a training run into an ONNX model that the live program can open, or gives one that is exported
already another decision and other scores in its contract."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from export.errors import ExportError
from export.spotting_scores import with_spotting
from export.stamp import model_pair, restamped, store_contract, with_decision
from model.atomic import clash, regular_file, whole_file
from model.console import CleanConsole
from model.contract import ActionUnits, ClipContract, NetworkInput
from model.errors import ContractError, MicroliveError
from model.guards import KERAS, kind_of_model
from model.quiet import hold_standard_streams, native_log_held_back
from model.signals import EndSignals

_EPILOG = """examples:
  python -m export runs/flow --out model/bundled     write model/bundled/model.onnx
  python -m export runs/flow/model.keras --out /tmp/try
  python -m export runs/flow --out exported --fp16   also half-precision files, for GPUs
  python -m export runs/flow --spotting spotting.json --out exported
                                                     what `train spot-eval --json` measured of this model goes with it
  python -m export model/bundled/model.onnx --decision decision.json --out model/bundled
                                                     the same model, which decides otherwise about movements
  python -m export --untrained --out runs/paper      the paper's size, to measure: run_live.py --benchmark --model …

model.onnx takes `clip` (batch, frames, size, size, channels) and gives `probabilities` (batch, classes), and of a network
that tells action units `action_units` (batch, 2 units): left and right of each.
model.stream.onnx takes one `frame` (batch, size, size, channels) and values of earlier frames, and gives the same
answers many times faster; the live program prefers it. Their contract (classes, frames a second, preprocessing,
training data, scores) is in their metadata. parity.json says how closely they answer like the network. Models that do
not are refused, and nothing is written.
Of a MODEL.onnx only the contract changes, in it and in the streaming model beside it (MODEL.stream.onnx); --out may be its
own folder.
Measure it with: python -m train eval --data DIR --model OUT/model.onnx"""


_UNTRAINED_SEED = 0
_UNTRAINED_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 24, 25, 26)

_READ = ("model.keras", "contract.json", "samples.npy")
_WRITTEN = ("model.onnx", "model.stream.onnx", "model.fp16.onnx", "model.fp16.stream.onnx", "parity.json")


class _UsageError(MicroliveError):
    """A path given does not fit (exit 2)."""


@dataclass(frozen=True)
class Run:
    """A finished run: its network (None: untrained), its contract, and clips as network input where it kept some."""

    model: Path | None
    contract: ClipContract
    clips: NDArray | None


def main(argv: Sequence[str] | None = None) -> int:
    """Exports; 0 when it went well, 1 when the export failed or was refused, 2 for paths that do not fit, 130 when it was
    ended by Ctrl-C, SIGTERM or SIGHUP."""
    hold_standard_streams()
    with EndSignals():
        return _main(_parser().parse_args(argv))


def _main(args: argparse.Namespace) -> int:
    try:
        if args.action_units and not args.untrained:
            raise _UsageError("--action-units goes with --untrained: a run's network tells them or does not")
        if args.run is not None and args.run.suffix == ".onnx":
            return _restamp(args)
        _require_apart(args)
        run = _untrained_run(args.action_units) if args.untrained else _open_run(args.run)
        run = replace(run, contract=_told(run.contract, args))
        report = export_run(run, args.out, args.fp16)
    except KeyboardInterrupt:
        return _say("stopped; nothing was written", 130)
    except (ExportError, _UsageError, OSError) as error:
        if args.debug:
            raise
        return _say(str(error), 2 if isinstance(error, _UsageError) else 1)
    except Exception as error:
        if args.debug:
            raise
        return _say(f"{type(error).__name__}: {' '.join(str(error).split())} (--debug shows where)", 1)
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        console = CleanConsole()
        console.print(_table(report))
        console.print(f"{args.out / 'model.onnx'}: {report['bytes'] / 1e6:.1f} MB", highlight=False, soft_wrap=True)
        streaming = report["streaming"]
        told = f"{streaming['bytes'] / 1e6:.1f} MB" if streaming["written"] else f"not written: {streaming['why']}"
        console.print(f"{args.out / 'model.stream.onnx'}: {told}", highlight=False, soft_wrap=True)
    return 0


def _told(contract: ClipContract, args: argparse.Namespace) -> ClipContract:
    """The contract with what --decision and --spotting add to it."""
    if args.decision is not None:
        contract = with_decision(contract, args.decision)
    return contract if args.spotting is None else with_spotting(contract, args.spotting)


def _restamp(args: argparse.Namespace) -> int:
    """Exports a model that is exported already, with another contract."""
    if args.fp16:
        raise _UsageError("--fp16 goes with a run: of an exported model only the contract changes")
    if args.decision is None and args.spotting is None:
        raise _UsageError(f"{args.run}: expected --decision or --spotting, what is to go into an exported model")
    if not args.run.is_file():
        raise _UsageError(f"{args.run}: expected an exported model, found none")
    pair = model_pair(args.run)
    written = [("--out", args.out), *(("--out", args.out / path.name) for path in pair)]
    if args.out.is_file() or (said := clash(written, _told_by(args))) is not None:
        raise _UsageError(f"{args.out}: expected a folder, found a file" if args.out.is_file() else said)
    with native_log_held_back():
        import onnx

        models, contract = restamped(args.run, lambda contract: _told(contract, args))
        with _all_or_nothing(args.out) as folder:
            for name, model in models.items():
                onnx.save(model, str(folder / name))
    files = [str(args.out / name) for name in models]
    if args.json:
        report = {
            "files": files,
            "decision": contract.decision and asdict(contract.decision),
            "scores": contract.scores,
        }
        print(json.dumps(report, indent=2))
    else:
        for name in files:
            CleanConsole().print(f"{name}: another contract, the same network", highlight=False, soft_wrap=True)
    return 0


def export_run(run: Run, out: Path, fp16: bool = False) -> dict[str, Any]:
    """Writes the models and parity.json into `out`, all or none; returns what parity.json says.

    Raises:
        ExportError: the conversion failed, or a model is not sound or does not answer like the network.
    """
    with native_log_held_back():
        import onnx

        from export.streaming.build import StreamingUnsupported, build_streaming_graph
        from export.streaming.parity import HALF_TOLERANCE, check_streaming_parity
        from export.verify import check_model, check_parity
        from export.window_model import OPSET, build_window_model, half_precision
        from model.network import load_network, network_config

        try:
            network = _random_network(run.contract) if run.model is None else load_network(run.model)
        except ValueError as error:
            raise ExportError(str(error)) from error
        window = build_window_model(network, run.contract)
        check_model(window)
        report = asdict(check_parity(network, window, run.contract, run.clips)) | {
            "parameters": network.count_params(),
            "bytes": window.ByteSize(),
            "opset": OPSET,
            "classes": list(run.contract.class_names),
        }
        models = {"model.onnx": window}
        try:
            streaming = build_streaming_graph(network, network_config(network))
        except StreamingUnsupported as error:
            report["streaming"] = {"written": False, "why": str(error)}
        else:
            store_contract(streaming, run.contract)
            check_model(streaming)
            parity = check_streaming_parity(network, window, streaming, run.contract, run.clips)
            report["streaming"] = {"written": True, "bytes": streaming.ByteSize()} | asdict(parity)
            models["model.stream.onnx"] = streaming
            if fp16:
                pair = half_precision(window), half_precision(streaming)
                report["fp16"] = asdict(check_streaming_parity(network, *pair, run.contract, run.clips, HALF_TOLERANCE))
                models |= dict(zip(("model.fp16.onnx", "model.fp16.stream.onnx"), pair, strict=True))
    with _all_or_nothing(out) as folder:
        for name, model in models.items():
            onnx.save(model, str(folder / name))
        (folder / "parity.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def _random_network(contract: ClipContract) -> Any:
    """The same on every machine: some random weights multiply rounding errors beyond what is allowed of trained ones."""
    import keras

    from model.network import build_network
    from model.variants import variant

    keras.utils.set_random_seed(_UNTRAINED_SEED)
    units = len(contract.action_units.numbers) if contract.action_units else 0
    return build_network(replace(variant("paper").config, action_units=units))


def _require_apart(args: argparse.Namespace) -> None:
    """Raises _UsageError where what is written would replace what is read."""
    written = [("--out", args.out), *(("--out", args.out / name) for name in _WRITTEN)]
    read = _told_by(args)
    if args.run is not None:
        folder = args.run if args.run.is_dir() else args.run.parent
        read += [("RUN", path) for path in (args.run, *(folder / name for name in _READ))]
    if (said := clash(written, read)) is not None:
        raise _UsageError(said)


def _told_by(args: argparse.Namespace) -> list[tuple[str, Path]]:
    """The files that --decision and --spotting read."""
    given = (("--decision", args.decision), ("--spotting", args.spotting))
    return [(name, path) for name, path in given if path is not None]


def _untrained_run(action_units: bool) -> Run:
    """The paper's network at its own size with random weights: answers mean nothing, times are the real ones."""
    contract = ClipContract(
        ("negative", "positive", "surprise"),
        input=NetworkInput("pixels", 128, "rgb"),
        training_data="nothing: random weights, for benchmarks only",
        action_units=ActionUnits(_UNTRAINED_UNITS) if action_units else None,
    )
    return Run(None, contract, None)


def _open_run(path: Path) -> Run:
    folder = path if path.is_dir() else path.parent
    model = path / "model.keras" if path.is_dir() else path
    # What is called .keras and is damaged is told when it is read.
    kind = kind_of_model(path) if path.exists() else "none"
    if not model.is_file() or (model.suffix != ".keras" and kind != KERAS):
        raise _UsageError(
            f"{path}: expected a finished run's folder (made by `python -m train fit`) or its .keras file, "
            f"found {kind or 'another file'}"
        )
    try:
        contract = ClipContract.from_json(regular_file(folder / "contract.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise _UsageError(
            f"{folder / 'contract.json'}: expected the model's contract beside it ({error.strerror})"
        ) from error
    except (ContractError, UnicodeDecodeError) as error:
        raise _UsageError(f"{folder / 'contract.json'}: {error}") from error
    return Run(model, contract, _kept_clips(folder / "samples.npy", contract))


def _kept_clips(path: Path, contract: ClipContract) -> NDArray | None:
    if not path.is_file():
        return None
    try:
        clips = np.load(path)
    except (ValueError, EOFError, MemoryError) as error:
        raise _UsageError(
            f"{path}: expected the run's sample clips, found something else; train again, or remove it"
        ) from error
    if clips.shape[1:] != contract.input_shape:
        raise _UsageError(
            f"{path}: expected clips of {contract.input_shape} as in the contract, found {clips.shape[1:]}"
        )
    return clips


@contextmanager
def _all_or_nothing(out: Path) -> Iterator[Path]:
    """A folder beside `out` whose files move into it when the block ends well; otherwise nothing is left."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield temporary
        out.mkdir(exist_ok=True)
        # All are there in whole before the first takes its place.
        with ExitStack() as places:
            for path in temporary.iterdir():
                shutil.copyfile(path, places.enter_context(whole_file(out / path.name)))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Export a training run as an ONNX model for the live program.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "run",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="folder of a finished run, or its model.keras; or an exported MODEL.onnx",
    )
    what.add_argument(
        "--untrained", action="store_true", help="the paper's network with random weights, 30×128×128×3, for benchmarks"
    )
    parser.add_argument(
        "--action-units", action="store_true", help="with --untrained: a network that tells action units, too"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to write the model into; a model there is replaced",
    )
    parser.add_argument(
        "--fp16", action="store_true", help="also write model.fp16.onnx and model.fp16.stream.onnx, for GPUs"
    )
    parser.add_argument(
        "--decision",
        type=Path,
        metavar="FILE",
        help="JSON of `train spot-fit`: which movements are micro-expressions; goes into the contract",
    )
    parser.add_argument(
        "--spotting",
        type=Path,
        metavar="FILE",
        help="JSON of `train spot-eval` for this model: false events a minute and F1 join the scores in its contract",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _table(report: dict[str, Any]) -> Table:
    table = Table("model", "clips", "number", "largest difference", title="Probabilities against the network's")
    for name, value in report["max_difference"].items():
        table.add_row("window", name, f"{report['clips'][name]} clips", f"{value:.1e}")
    for model, part in (("streaming", report["streaming"]), ("half precision", report.get("fp16", {}))):
        for name, value in part.get("to_network", {}).items():
            table.add_row(model, name, f"2 × {part['steps']} frames", f"{value:.1e}")
    table.caption = f"{report['tolerance']:g} is allowed"
    return table


def _say(message: str, code: int) -> int:
    CleanConsole(stderr=True).print(f"[bold red]export:[/] {escape(message)}", highlight=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

"""`python -m train`: make data, train, measure."""

import argparse
import os
import sys
from collections.abc import Sequence

from rich.markup import escape

from model.console import CleanConsole
from model.errors import ContractError
from model.guards import private_files
from model.quiet import hold_standard_streams
from model.ray_cluster import ClusterError
from model.signals import EndSignals
from train.clips.store import StoreError
from train.datasets.source import DatasetError
from train.errors import TrainError, UsageError, os_error_text

_EPILOG = """the usual way:
  python -m train synth --help    make clips from face photos
  python -m train fit --help      train a network on them
  python -m train eval --help     measure a model on clips
  python -m train assess --help   measure models on made clips of unseen people, under many conditions
  python -m export --help         turn a run into an ONNX model for the live program
with real datasets:
  python -m train list --help     what is on your disk, compared with the published lists
  python -m train prepare --help  frames and sheets to aligned crops
  python -m train loso --help     leave-one-subject-out
  python -m train spot-score --help    long videos, scored as the field scores them
  python -m train adapt --help    a model goes on learning from few clips, as of reviewed sessions
  python -m train report --help   its page: scores beside chance, confusions, mistakes
  python -m train ablate --help   the rows of the paper's ablation table"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; 0 when it went well, 1 when it failed, 2 for flags, values or paths that do not fit, 130 when it was
    ended by Ctrl-C, SIGTERM or SIGHUP."""
    hold_standard_streams()
    # TensorFlow leaves oneDNN's convolutions off on processors without AVX-512: training takes five times as long then.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with EndSignals():
        return _main(list(sys.argv[1:] if argv is None else argv))


def _main(argv: list[str]) -> int:
    try:
        args = _parser().parse_args(argv, argparse.Namespace(argv=argv))
    except KeyboardInterrupt:  # while the commands are loaded
        return _say("stopped", 130)
    try:
        from train.commands.flags import require_apart  # with the commands, which take long to load

        require_apart(args)
        # Whatever is made of recordings holds faces, or what is known of people.
        with private_files():
            code = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _say("stopped", 130)
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (TrainError, StoreError, ContractError, ClusterError, DatasetError, OSError) as error:
        if args.debug:
            raise
        line = os_error_text(error) if isinstance(error, OSError) else str(error)
        usage = UsageError | StoreError | ContractError | ClusterError | DatasetError
        return _say(line, 2 if isinstance(error, usage) else 1)
    except Exception as error:
        if args.debug:
            raise
        return _say(f"{type(error).__name__}: {' '.join(str(error).split())} (--debug shows where)", 1)


def _parser() -> argparse.ArgumentParser:
    # Here, not above: loading them takes most of a second, in which Ctrl-C must not end in a traceback.
    from train.commands import ablate as command_ablate
    from train.commands import adapt as command_adapt
    from train.commands import assess as command_assess
    from train.commands import augment as command_augment
    from train.commands import bench as command_bench
    from train.commands import eval as command_eval
    from train.commands import experiments as command_experiments
    from train.commands import fit as command_fit
    from train.commands import list as command_list
    from train.commands import loso as command_loso
    from train.commands import prepare as command_prepare
    from train.commands import report as command_report
    from train.commands import spot_eval as command_spot_eval
    from train.commands import spot_fit as command_spot_fit
    from train.commands import spot_rates as command_spot_rates
    from train.commands import spot_score as command_spot_score
    from train.commands import synth as command_synth
    from train.commands import transfer as command_transfer

    parser = argparse.ArgumentParser(
        prog="python -m train",
        description="Make training data, train the network, measure it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (
        command_synth,
        command_list,
        command_prepare,
        command_fit,
        command_loso,
        command_adapt,
        command_ablate,
        command_experiments,
        command_report,
        command_eval,
        command_assess,
        command_augment,
        command_bench,
        command_spot_fit,
        command_spot_eval,
        command_spot_rates,
        command_spot_score,
        command_transfer,
    ):
        command.add_parser(subparsers)
    for command in subparsers.choices.values():
        command.add_argument("--debug", action="store_true", default=False, help="show the traceback of an error")
    return parser


def _say(message: str, code: int) -> int:
    CleanConsole(stderr=True).print(f"[bold red]train:[/] {escape(message)}", highlight=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

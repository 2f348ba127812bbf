"""Microlive's live program: `python run_live.py --camera 0`. See `--help`."""

import importlib
import sys
from collections.abc import Sequence
from contextlib import closing

from model.guards import private_files
from model.quiet import hold_standard_streams
from model.signals import EndSignals
from stream.cli.errors import exit_code
from stream.cli.options import LiveOptions, parse_options

_WORDS = {"agree": "stream.cli.agree", "labels": "stream.cli.label_files"}
"""First words that are commands of their own, and the modules that parse what follows."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 well ended, 1 failed while running (one line on the error stream), 2 wrong usage."""
    hold_standard_streams()
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in _WORDS:
        with private_files():
            return importlib.import_module(_WORDS[argv[0]]).main(argv[1:])
    options = parse_options(argv)
    # Ctrl-C and its like are how a camera's run ends; a benchmark that is stopped has measured nothing.
    interrupted = 130 if options.benchmark else 0
    with private_files():
        return exit_code(lambda signals: _run(options, signals), options.debug, interrupted)


def _run(options: LiveOptions, signals: EndSignals) -> int:
    # What is not needed is not loaded: the benchmark measures programs of their own.
    if options.benchmark:
        from stream.benchmark.command import BenchmarkSettings, SpeedSettings, run_speed

        source = str(options.source) if "source" in options.chosen else None
        asked = BenchmarkSettings(options.model, options.provider, options.threads, source, options.json)
        return run_speed(asked, SpeedSettings())
    from stream.screen.terminal import Screen

    with closing(Screen()) as screen:
        if options.report is not None:
            from stream.session.report import make_report

            asked = options.sensitivity if "sensitivity" in options.chosen else None
            return make_report(options.report, screen, asked)
        if options.review is not None:
            from stream.review.open_desk import run_review

            return run_review(options.review, screen)
        from stream.cli.app import run

        return run(options, screen, signals)


if __name__ == "__main__":
    sys.exit(main())

"""Microlive's live program: `python run_live.py --camera 0`. See `--help`."""

import sys
from collections.abc import Sequence
from contextlib import closing

from model.guards import private_files
from model.quiet import hold_standard_streams
from model.signals import EndSignals
from stream.cli.errors import exit_code
from stream.cli.options import LiveOptions, parse_options


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 well ended, 1 failed while running (one line on the error stream), 2 wrong usage."""
    hold_standard_streams()
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

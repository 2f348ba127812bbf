"""Microlive's live program: `python run_live.py --camera 0`. See `--help`."""

import sys
from collections.abc import Sequence

from model.guards import private_files
from model.quiet import hold_standard_streams
from stream.cli.errors import exit_code
from stream.cli.options import LiveOptions, parse_options


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 well ended, 1 failed while running (one line on the error stream), 2 wrong usage."""
    hold_standard_streams()
    options = parse_options(argv)
    # Ctrl-C is how a camera's run ends; a benchmark that is stopped has measured nothing.
    with private_files():
        return exit_code(lambda: _run(options), options.debug, interrupted=130 if options.benchmark else 0)


def _run(options: LiveOptions) -> int:
    # What is not needed is not loaded: the benchmark measures programs of their own.
    if options.benchmark:
        from stream.benchmark.command import BenchmarkSettings, SpeedSettings, run_speed

        source = str(options.source) if "source" in options.chosen else None
        asked = BenchmarkSettings(options.model, options.provider, options.threads, source, options.json)
        return run_speed(asked, SpeedSettings())
    from stream.screen.terminal import Screen

    if options.report is not None:
        from stream.session.report import make_report

        return make_report(options.report, Screen())
    from stream.cli.app import run

    return run(options, Screen())


if __name__ == "__main__":
    sys.exit(main())

"""Microlive's live program: `python run_live.py --camera 0`. See `--help`."""

import sys
from collections.abc import Sequence

from model.contract import ContractError
from stream.cli.options import LiveOptions, parse_options
from stream.engine.model_file import ModelError


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 well ended, 1 failed while running (one line on the error stream), 2 wrong usage."""
    options = parse_options(argv)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        if options.debug:
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 1


def _run(options: LiveOptions) -> int:
    # What is not needed is not loaded: the engines' benchmark runs where there is no OpenCV and no MediaPipe.
    if options.benchmark:
        from stream.benchmark.command import run_benchmark

        return run_benchmark(options)
    from stream.screen.terminal import Screen

    if options.session.report is not None:
        from stream.session.report import make_report

        return make_report(options.session.report, Screen())
    from stream.cli.app import run

    return run(options, Screen())


def _one_line(error: Exception) -> str:
    """Our own errors say what to do; anything else is told by its kind."""
    if isinstance(error, ModelError | ContractError) or type(error).__module__.startswith("stream."):
        return str(error)
    if isinstance(error, ImportError):
        return (
            f"{error}. Run `make install`; OpenCV also needs, on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0"
        )
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())} (run again with --debug for the details)"


if __name__ == "__main__":
    sys.exit(main())

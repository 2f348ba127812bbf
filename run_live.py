"""Microlive's live program: `python run_live.py --camera 0`. See `--help`."""

import sys
from collections.abc import Sequence

from rich.console import Console

from model.contract import ContractError
from stream.app import run
from stream.model_file import ModelError
from stream.options import parse_options
from stream.sinks import SinkError
from stream.sources import SourceError


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 well ended, 1 failed while running (one line on the error stream), 2 wrong usage."""
    options = parse_options(argv)
    try:
        return run(options, Console())
    except KeyboardInterrupt:
        return 0
    except (SourceError, ModelError, ContractError, SinkError) as error:
        if options.debug:
            raise
        Console(stderr=True).print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False, markup=True)
        return 1
    except Exception as error:
        if options.debug:
            raise
        line = f"unexpected {type(error).__name__}: {error} (run again with --debug for the details)"
        Console(stderr=True).print(f"error: {line}", soft_wrap=True, highlight=False, markup=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())

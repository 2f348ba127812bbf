"""The options that tie a run to an experiment: the marker port and Lab Streaming Layer."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from stream.cli.option_types import address
from stream.network_address import NetworkAddress

LSL_NAME = "Microlive"
_NAME = re.compile(r"[\w][\w .-]{0,63}")


@dataclass(frozen=True)
class ExperimentOptions:
    """`port`: where marks come in, None for nowhere; `file`: where they are kept, None for a session's folder or nowhere.

    `lsl`: the streams' name, None for no streams.
    """

    port: NetworkAddress | None = None
    file: Path | None = None
    lsl: str | None = None

    @property
    def needs_pace(self) -> bool:
        """Whether the source's time has to run like everybody's."""
        return self.port is not None or self.lsl is not None


def add_group(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("experiments (the source then keeps its own pace)")
    group.add_argument(
        "--marker-port",
        type=address,
        metavar="[HOST:]PORT",
        help='take time marks as JSON lines over UDP, {"mark": "stimulus 3"}, and send events to whoever sends '
        '{"subscribe": true} (every minute anew). Without HOST for this machine only; with one, for everybody who '
        "can reach it",
    )
    group.add_argument(
        "--markers",
        type=Path,
        metavar="OUT.jsonl",
        help="write the marks with their time on the source's clock, one JSON object a line (in a session: markers.jsonl)",
    )
    group.add_argument(
        "--lsl",
        nargs="?",
        const=LSL_NAME,
        type=_lsl_name,
        metavar="NAME",
        help=f"send NAME-probabilities and NAME-events over Lab Streaming Layer (default name: {LSL_NAME}; needs "
        "requirements-lsl.txt). Everybody on the network can receive them, unless LSL's own configuration says otherwise",
    )


def read(given: argparse.Namespace, parser: argparse.ArgumentParser) -> ExperimentOptions:
    """Ends with a usage error where options do not go together, or where pylsl is needed and missing."""
    if given.markers is not None and given.marker_port is None:
        parser.error("--markers needs --marker-port, where the marks come in")
    if given.pace == "fast":
        for name, value in (("--marker-port", given.marker_port), ("--lsl", given.lsl)):
            if value is not None:
                parser.error(f"{name} needs a source that keeps its own pace: leave out --pace fast")
    if given.lsl is not None:
        # Only here: nobody else has to have it.
        from stream.sinks.lsl import LslError, load_pylsl

        try:
            load_pylsl()
        except LslError as error:
            parser.error(f"--lsl: {error}")
    return ExperimentOptions(given.marker_port, given.markers, given.lsl)


def _lsl_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected a name of up to 64 letters, digits, spaces and .-, found {text!r}")
    return text

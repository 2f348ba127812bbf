"""The options of the web view."""

import argparse
from dataclasses import dataclass, field

from stream.cli.option_types import address
from stream.network_address import NetworkAddress
from stream.web.access import check_token


@dataclass(frozen=True)
class ServeOptions:
    """Where the web view is served; `token` None: one is made where it is needed. A token is never shown with the rest."""

    address: NetworkAddress
    token: str | None = field(default=None, repr=False)


def add_group(parser: argparse.ArgumentParser) -> None:
    serve = parser.add_argument_group("web view")
    serve.add_argument(
        "--serve",
        type=address,
        metavar="[HOST:]PORT",
        help="show the run in a web page, for up to 16 viewers, beside the window or without one. Without HOST, or with "
        "localhost, for this machine only (from elsewhere: ssh -L 8080:localhost:8080 MACHINE); any other HOST, "
        "0.0.0.0 for all, needs the token in the address that is printed, and nothing on the way is encrypted",
    )
    serve.add_argument(
        "--serve-token",
        type=_token,
        metavar="TOKEN",
        help="a token of your own, 16 letters or more, for localhost too (default: a new one where it is needed)",
    )


def read(given: argparse.Namespace, parser: argparse.ArgumentParser) -> ServeOptions | None:
    """Ends with a usage error where options do not go together."""
    if given.serve is None:
        if given.serve_token is not None:
            parser.error("--serve-token needs --serve")
        return None
    return ServeOptions(given.serve, given.serve_token)


def _token(text: str) -> str:
    try:
        return check_token(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

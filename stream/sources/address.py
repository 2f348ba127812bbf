"""What of a stream's address may be shown."""

import re
from urllib.parse import urlsplit, urlunsplit

from stream.sources.base import SourceError

_SECRET_FIELD = re.compile(
    r"((?:^|[&;])[^=&;]*(?:pass|pwd|psw|user|usr|login|token|key|auth|secret|sig|account)[^=&;]*=)[^&;]*", re.IGNORECASE
)


def without_credentials(url: str) -> str:
    """The URL for the screen and for logs: without user name and password, without the fragment, and with `…` for the
    values of query fields that sound like credentials. SourceError when it is no URL; the message shows nothing of it.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceError(
            "the address of the stream is not a valid URL: expected scheme://host[:port]/path, with any of :/?#[]@% in a "
            "user name or password written as %3A and so on"
        ) from None
    shown = parts._replace(
        netloc=parts.netloc.rpartition("@")[2], query=_SECRET_FIELD.sub(r"\1…", parts.query), fragment=""
    )
    return urlunsplit(shown)

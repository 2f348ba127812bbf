"""The exporter's error, shown as one line."""

from model.errors import MicroliveError


class ExportError(MicroliveError):
    """The network could not be exported, or the exported model does not answer like the network."""

"""The exporter's error, shown as one line."""

from model.contract import MicroliveError


class ExportError(MicroliveError):
    """The network could not be exported, or the exported model does not answer like the network."""

"""The exporter's error, shown as one line."""


class ExportError(Exception):
    """The network could not be exported, or the exported model does not answer like the network."""

"""Many sources at once: each becomes ordinary sessions, recorded by processes of this machine or of a Ray cluster."""

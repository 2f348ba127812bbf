"""The streaming graph: the network as one frame at a time, with what earlier frames gave kept as named states."""

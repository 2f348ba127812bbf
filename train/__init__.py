"""Offline work: clips, training, scores. Start with `python -m train --help`."""

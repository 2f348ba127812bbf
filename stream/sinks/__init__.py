"""The outputs of a run: peers that each take what they are given and know nothing of the others."""

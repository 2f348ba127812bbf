"""The live program on long videos: found events against the truth."""

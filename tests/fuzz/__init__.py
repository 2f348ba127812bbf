"""Mutated inputs for the project's real commands: `python -m tests.fuzz --help`."""

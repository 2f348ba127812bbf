"""One file for each command of `python -m train`: its flags, and what it prints."""

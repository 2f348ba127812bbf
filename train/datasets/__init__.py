"""Readers of real datasets, one file each."""

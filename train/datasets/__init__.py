"""Readers of micro-expression datasets, one file each: annotation sheets and folders in, `SourceClip`s and defects out."""

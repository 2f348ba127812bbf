"""The live program's command line, and what it opens, shows and says."""

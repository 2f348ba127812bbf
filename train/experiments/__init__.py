"""Tables of experiments: rows of settings on a common base, several seeds each."""

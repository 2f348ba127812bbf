"""The coder's desk: what was found is looked through, corrected and taken away in a page on this machine."""

"""The web view: one run in a browser, for several viewers."""

"""Exported models: loaded, checked, stepped."""

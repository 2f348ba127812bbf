"""Faces found, followed, aligned and judged."""

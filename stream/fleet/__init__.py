"""Many sources at once, and what comes of them in one place: tables, a page over all, a board of tiles."""

"""Clips on disk and in memory: stores, samples, features, batches, and clips drawn anew in every epoch."""

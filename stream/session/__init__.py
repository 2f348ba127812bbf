"""Recorded sessions: everything of one run in a folder, its pictures, its report, and the same run again."""

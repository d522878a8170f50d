"""Runs side by side: their folders, what in them can be compared, and what that shows."""

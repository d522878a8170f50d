"""Metrics: one question in, one number out."""

"""The headline results: ``python -m benchmarks.results``."""

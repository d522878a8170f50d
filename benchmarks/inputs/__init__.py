"""A hundred inputs as new users bring them, each with what should come of it: ``python -m benchmarks.inputs``."""

"""What new users bring, each input with what should come of it: ``python -m benchmarks.inputs``."""

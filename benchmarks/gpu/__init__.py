"""What a machine with one NVIDIA GPU measures in one go: ``benchmarks/gpu.sh``."""

"""What a machine with an NVIDIA GPU shows in one go; ``benchmarks/gpu.sh`` runs it."""

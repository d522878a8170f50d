"""The folder of a run, its checkpoints, its loggers and what it prints."""
